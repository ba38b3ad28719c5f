"""Exit code 70 means a bug of ours: no bad file, no wrong value, no full disk gives it.

Each command is run on each bad file at each place where it takes one, and with wrong values. What
is bad is made here, so that a new kind of it is one more line.
"""

import ast
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from breadth import spread
from PIL import Image

import kerasvit
from kerasvit.cli import main

ROOT = pathlib.Path(kerasvit.__file__).parent
GOOD = ROOT / "pretrained" / "vit_nano_patch4_32.cifar10.keras"
BAD = "BAD"

# Every place where a command takes a file of somebody's.
PLACES = [
    ["info", BAD],
    ["convert", BAD, "-o", "OUT/x.keras", "--overwrite"],
    ["convert", BAD, "-m", "vit_tiny_patch16_224", "-o", "OUT/x.keras", "--overwrite"],
    ["convert", "GOOD.safetensors", "--head", BAD, "-o", "OUT/x.keras"],
    ["convert", "GOOD.safetensors", "--class-names", BAD, "-o", "OUT/x.keras"],
    ["verify", BAD, "GOOD.safetensors"],
    ["verify", "GOOD.keras", BAD],
    ["export", BAD, "-o", "OUT/x.onnx"],
    ["export-weights", BAD, "-o", "OUT/x.safetensors"],
    ["predict", BAD],
    ["predict", "GOOD.png", "-m", BAD],
    ["saliency", BAD, "-o", "OUT"],
    ["saliency", "GOOD.png", "-m", BAD, "-o", "OUT"],
    ["patches", BAD, "-o", "OUT"],
    ["probe", BAD, "-o", "OUT"],
    ["evaluate-saliency", BAD],
    ["evaluate-saliency", "GOOD.png", "--masks", BAD],
    ["evaluate", "--data", BAD],
    ["evaluate", "-m", BAD, "--data", "OUT"],
    ["train", BAD, "-o", "OUT/run"],
    ["train", "cifar10_cait_nano", "--data", BAD, "-o", "OUT/run"],
    ["finetune", "--data", BAD, "-o", "OUT/x.keras"],
    ["finetune", "-m", BAD, "--data", "OUT", "-o", "OUT/x.keras"],
    ["push", BAD, "me/it", "--dry-run", "OUT/hub"],
    ["merge", BAD],
]

# Wrong values, each of which somebody may type.
WRONG = [
    ["list", "\x1b[2J"],
    ["info", "no_such_model"],
    ["info", "\x1b]0;x\x07"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "-m", "no_such_model"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--image-size", "33", "33"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--num-heads", "7"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--activation", "nothing"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--set", "mlp_dim=1e400"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--set", "use_class_token=7"],
    ["convert", "GOOD.safetensors", "-o", "OUT/x.keras", "--sha256", "zz"],
    ["convert", f"https://{'a' * 300}.org/x.pth", "-o", "OUT/x.keras"],
    ["convert", "https://[::1/x.pth", "-o", "OUT/x.keras"],
    ["convert", "hf://a/b/../../x", "-o", "OUT/x.keras"],
    ["convert", "ftp://a/b", "-o", "OUT/x.keras"],
    ["export", "GOOD.keras", "-o", "OUT/x.what"],
    ["export", "GOOD.keras", "-o", "OUT/x.onnx", "--image-size", "33", "33"],
    ["export", "GOOD.keras", "-o", "OUT/x.onnx", "--blocks", "99"],
    ["export", "GOOD.keras", "-o", "OUT/x.onnx", "--blocks", "x"],
    ["predict", "GOOD.png", "--top", "0"],
    ["predict", "GOOD.png", "--frame", "99"],
    ["predict", "no\nsuch\x1b.png"],
    ["predict", "https://[::1/x.png"],
    ["predict", "file:///etc/hosts"],
    ["evaluate", "--data", "OUT", "-o", "OUT/x.pdf"],
    ["app", "--port", "0x"],
    ["predict", "ftp://host/x.png"],
    ["saliency", "GOOD.png", "-o", "OUT", "--format", ""],
    ["push", "GOOD.keras", "me/it", "--dry-run", "GOOD.png"],
    ["saliency", "GOOD.png", "-o", "OUT", "--method", "nothing"],
    ["saliency", "GOOD.png", "-o", "OUT", "--class", "nothing"],
    ["saliency", "GOOD.png", "-o", "OUT", "--class", "9999"],
    ["saliency", "GOOD.png", "-o", "OUT", "--layer", "99"],
    ["saliency", "GOOD.png", "-o", "OUT", "--query", "99,99"],
    ["saliency", "GOOD.png", "-o", "OUT", "--option", "rollout.discard=7"],
    ["saliency", "GOOD.png", "-o", "/dev/null/x"],
    ["evaluate", "--data", "OUT", "--image-size", "33"],
    ["train", "cifar10_cait_nano", "--set", "optimizer.learning_rate=-1", "-o", "OUT/run"],
    ["train", "cifar10_cait_nano", "--set", "a=" + "9" * 5000, "-o", "OUT/run"],
    ["train", "cifar10_cait_nano", "--set", "schedule.epochs=" + "9" * 5000, "-o", "OUT/run"],
    ["train", "cifar10_cait_nano", "--set", "model.name=nothing", "-o", "OUT/run"],
    ["train", "cifar10_cait_nano", "--resume", "-o", "OUT/run"],
    ["finetune", "--data", "OUT", "-o", "OUT/x.png"],
    ["no-such-command"],
    ["list", "--no-such-option", "\x1b[2J"],
]


def _keras(path, **changes):
    """Write the good file with another config."""
    with zipfile.ZipFile(GOOD) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"].update(changes)
                data = json.dumps(config)
            new.writestr(name, data)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder of bad files of each suffix, and some good ones."""
    folder = tmp_path_factory.mktemp("bad")
    files = {
        "empty.keras": b"",
        "empty.png": b"",
        "empty.pth": b"",
        "empty.toml": b"",
        "text.keras": b"hello",
        "text.pth": b"hello",
        "page.safetensors": b"<html>",
        "digits.toml": b"a = " + b"9" * 5000,
        "nested.toml": b"a = " + b"[" * 3000,
        "epochs.toml": b"[model]\nname = 'a'\n[schedule]\nepochs = 10000000000000",
        "latin.toml": b"# \xff",
        "half.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00",
        "header.safetensors": (9).to_bytes(8, "little") + b'{"a":[1]}',
        "half.keras": GOOD.read_bytes()[:5000],
        "half.npz": b"PK\x03\x04" + bytes(100),
        "null.pth": b"\x80\x02}q\x00.",
        "esc\x1b[31m.pth": b"hello",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    (folder / "no.keras").symlink_to("nowhere")
    _keras(folder / "record.keras", record={"class_names": 7, "preprocessing": [1]})
    _keras(folder / "size.keras", record={"preprocessing": {"image_size": [True, 32]}})
    _keras(folder / "layers.keras", num_layers=10**6)
    np.savez(folder / "other.npz", other=np.zeros(3))
    Image.new("RGB", (40, 30), "red").save(folder / "GOOD.png")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    Image.new("RGB", (40, 30), "red").save(folder / "GOOD.png")
    (folder / "GOOD.keras").write_bytes(GOOD.read_bytes())
    from safetensors.numpy import save_file

    generator = np.random.default_rng(0)
    save_file(
        {"cls_token": generator.normal(size=(1, 1, 8)).astype(np.float32)},
        folder / "GOOD.safetensors",
    )
    return folder


def _run(arguments, folder, output, capsys):
    """Run a command; return its exit code and what it said on standard error."""
    given = [
        str(folder / text)
        if text.startswith("GOOD")
        else text.replace("OUT", str(output), 1)
        if text == "OUT" or text.startswith("OUT/")
        else text
        for text in arguments
    ]
    try:
        code = main(given)
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr()


def _check(code, said, arguments):
    assert code in (0, 2, 3, 4, 5), (arguments, said.err[-500:])
    for text in (said.out, said.err):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), arguments
    assert "Traceback" not in said.err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "place",
    # Each command's first place that takes a file.
    spread(PLACES, list({place[0]: place for place in reversed(PLACES)}.values())),
    ids=lambda place: "_".join(place[:3]).replace("/", ""),
)
def test_a_bad_file_is_never_a_bug(bad, good, tmp_path, capsys, monkeypatch, place):
    monkeypatch.setenv("KERASVIT_OFFLINE", "1")
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    for path in sorted(bad.iterdir()):
        if path.name == "GOOD.png":
            continue
        arguments = [str(path) if text == BAD else text for text in place]
        code, said = _run(arguments, good, tmp_path / "out", capsys)
        _check(code, said, arguments)
        assert code != 0, arguments


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arguments", WRONG, ids=lambda line: ascii("_".join(line))[:50])
def test_a_wrong_value_is_never_a_bug(good, tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.setenv("KERASVIT_OFFLINE", "1")
    monkeypatch.setenv("KERASVIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    code, said = _run(arguments, good, tmp_path / "out", capsys)
    _check(code, said, arguments)
    assert code != 0 or arguments[0] == "list"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_is_told_in_one_line():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "kerasvit", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 5
    assert result.stderr.count("\n") == 1
    assert "No space left" in result.stderr


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4 bytes."),
        type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
    ],
    ids=["Python", "PyTorch", "JAX", "TensorFlow"],
)
def test_no_memory_is_no_bug(monkeypatch, capsys, error):
    def run(options):
        raise error

    monkeypatch.setattr("kerasvit.cli.commands.list.run_list", run)
    monkeypatch.setattr("kerasvit.cli.commands.info.run_info", run)
    assert main(["info", "vit_tiny_patch16_224"]) == 2
    assert "out of memory" in capsys.readouterr().err


def test_every_text_goes_through_one_door():
    """`print` stands in `speech.py` alone."""
    for path in (ROOT / "cli").rglob("*.py"):
        if path.name == "speech.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            is_print = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            assert not is_print, f"{path}: line {node.lineno}: say, say_table or tell it"
