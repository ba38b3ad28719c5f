"""`kerasvit list`, `kerasvit info`, and what the command line itself promises."""

import os
import subprocess
import sys

import pytest

import kerasvit


def test_list_names_models_and_releases(run):
    result = run("list", "cait*")
    assert result.code == 0
    assert "cait_xxs24_224" in result.out
    assert "vit_" not in result.out
    result = run("list", "--pretrained", "*dino*")
    assert "vit_small_patch14_dinov2.lvd142m" in result.out
    assert run("list", "nothing*").code == 2


def test_list_finds_what_publishers_and_releases_are_called(run):
    lines = run("list", "dino*").out.splitlines()
    assert any(line.split() == ["dino_vits8", "=", "vit_small_patch8_224"] for line in lines)
    assert len(lines) == len({line.split()[0] for line in lines})
    assert "vit_small_patch16_224.dino" in run("list", "*.dino").out
    # All models are listed without their other names.
    assert "dino_vits8" not in run("list").out


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("cait_xxs24_224", ["11,956,264", "24 + 2", "224x224"]),
        ("dino_vits8", ["21,670,272", "vit_small_patch8_224"]),
        ("vit_giant_patch14_dinov2", ["1,136,479,232"]),
        ("cait_xxs24_224.fb_dist_in1k", ["apache-2.0", "hf://timm/cait_xxs24_224.fb_dist_in1k"]),
    ],
)
def test_info_tells_the_facts(run, name, facts):
    result = run("info", name)
    assert result.code == 0, result.err
    for fact in facts:
        assert fact in result.out


def test_unknown_name_proposes_a_close_one(run, one_line):
    result = run("info", "cait_xs24_385")
    assert result.code == 2
    one_line(result.err, "cait_xs24_384")
    one_line(run("info", "DINO_VITS8").err, "dino_vits8")
    one_line(run("list", "DINO*").err, "'dino*'")
    one_line(run("list", "xxs").err, "'*xxs*'")
    one_line(run("list", "--methods", "grad").err, "'*grad*'")
    assert "Did you mean" not in run("list", "").err


def test_info_of_the_shipped_file(run, tmp_path):
    path = tmp_path / "m.keras"
    kerasvit.from_pretrained().save(path)
    result = run("info", path)
    assert result.code == 0, result.err
    assert "cait_nano_patch4_32.cifar10" in result.out


def test_traceback_only_with_debug(run, tmp_path):
    bad = tmp_path / "bad.keras"
    bad.write_bytes(b"PK no zip")
    result = run("info", bad)
    assert result.code == 3
    assert "Traceback" not in result.err
    assert "Traceback" in run("info", bad, "--debug").err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_no_backend(arguments):
    code = (
        "import sys\n"
        "sys.argv[:] = ['kerasvit']\n"
        "from kerasvit.cli import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'keras', 'jax', 'tensorflow', 'torch', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_backend_option_and_environment():
    def run(*arguments, **environment):
        command = [sys.executable, "-m", "kerasvit", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}
        )

    assert run("list", "cait*", "--backend", "torch", KERAS_BACKEND="nonsense").returncode == 0
    result = run("list", KERAS_BACKEND="nonsense")
    assert result.returncode == 2
    assert "jax, tensorflow, torch" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
