"""`kerasvit convert`: what it writes, what it refuses, and that a failure leaves no trace.

Promises 1 to 23 of docs/development/promises.md.
"""

import hashlib
import os
import pathlib
import pickle
import resource
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import safetensors.numpy
import torch

import kerasvit
from kerasvit.conversion import convert

NAME = "cait_xxs24_224"


@pytest.fixture(scope="module")
def state():
    """A whole state dict of the smallest CaiT, as timm names it, made without timm."""
    model = kerasvit.create_model(NAME)
    from kerasvit.conversion.names.layouts import TIMM_CAIT

    random = np.random.default_rng(0)
    state = {}
    for rule in TIMM_CAIT.for_model(model):
        value = rule.kind.backward(random.normal(0, 0.1, _shape(model, rule.target)))
        state[rule.sources[0]] = torch.from_numpy(np.ascontiguousarray(value, "float32"))
    return state


def _shape(model, target):
    from kerasvit.conversion.names.rules import variables_by_path

    return variables_by_path(model)[target].shape


@pytest.fixture
def checkpoint(state, tmp_path) -> pathlib.Path:
    path = tmp_path / "cait.pth"
    torch.save(state, path)
    return path


def _assert_refused(run, one_line, tmp_path, path, code, *needles, arguments=()):
    out = tmp_path / "result" / "out.keras"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(b"old")
    result = run("convert", path, "-m", NAME, "-o", out, "--overwrite", "--no-verify", *arguments)
    assert result.code == code, result.err
    one_line(result.err.strip().splitlines()[-1], *needles)
    assert out.read_bytes() == b"old"
    assert [p.name for p in out.parent.iterdir()] == ["out.keras"]


def test_writes_a_model_with_its_record(run, checkpoint, tmp_path):
    out = tmp_path / "out.keras"
    result = run("convert", checkpoint, "-m", NAME, "-o", out, "--no-verify")
    assert result.code == 0, result.err
    assert result.out.strip() == str(out)
    model = kerasvit.from_pretrained(out)
    source = model.record["source"]
    assert source["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert source["file"] == "cait.pth"
    assert model.record["preprocessing"]["crop_fraction"] == 1.0


def test_verified_against_timm(checkpoint, tmp_path):
    parity = convert(checkpoint, tmp_path / "out.keras", verify=True).parity
    assert parity.features <= 1e-4
    assert len(parity.scores) == 26


@pytest.mark.parametrize("wrap", ["model", "state_dict", "module"])
def test_wrappers_and_prefixes(state, tmp_path, wrap):
    path = tmp_path / "wrapped.pth"
    prefixed = {f"module.{key}": value for key, value in state.items()}
    torch.save(
        {"model": {"model": prefixed, "epoch": 3}, "state_dict": {"state_dict": state}}.get(
            wrap, prefixed
        ),
        path,
    )
    model = convert(path, model=NAME).model
    tokens = keras.ops.convert_to_numpy(model.class_token.tokens)
    np.testing.assert_array_equal(tokens, state["cls_token"].numpy())


def test_safetensors_state_dict_and_file_agree(state, checkpoint, tmp_path):
    path = tmp_path / "cait.safetensors"
    safetensors.numpy.save_file({key: value.numpy() for key, value in state.items()}, path)
    models = [kerasvit.from_pretrained(source, model=NAME) for source in (path, checkpoint, state)]
    first = models[0].get_weights()
    for model in models[1:]:
        assert all(map(np.array_equal, first, model.get_weights()))


def test_another_number_of_classes(state):
    smaller = {key: value[:7] if key.startswith("head") else value for key, value in state.items()}
    assert convert(smaller, model=NAME).model.num_classes == 7
    assert convert(state, model=NAME, num_classes=0).model.num_classes == 0
    fresh = convert(state, model=NAME, num_classes=5)
    assert fresh.model.num_classes == 5
    assert np.abs(fresh.model.head.get_weights()[0]).max() > 0
    assert any("num_classes=5" in note for note in fresh.notes)


def _damages(state, path):
    torch.save(state, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    return {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
        "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "flipped bit": bytes(flipped),
        "pickle": pickle.dumps({"a": os.system}),
    }


@pytest.mark.parametrize(
    "damage", ["truncated", "empty", "HTML", "git-lfs", "flipped bit", "pickle"]
)
def test_damaged_file(run, one_line, state, tmp_path, damage):
    path = tmp_path / "damaged.pth"
    path.write_bytes(_damages(state, path)[damage])
    needles = ["damaged.pth"] + ([damage] if damage in ("empty", "HTML", "git-lfs") else [])
    _assert_refused(run, one_line, tmp_path, path, 3, *needles)


def _without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "needles"),
    [
        (lambda s: _without(s, "blocks.3.attn.proj_l.bias"), ["blocks.3.attn.proj_l.bias"]),
        (lambda s: {**s, "extra.weight": torch.zeros(2)}, ["extra.weight"]),
        (
            lambda s: {**s, "blocks.5.norm1.weight": torch.zeros(5)},
            ["blocks.5.norm1.weight", "(5,)", "(192,)"],
        ),
        (
            lambda s: {**s, "norm.weight": torch.full((192,), float("nan"))},
            ["norm.weight", "192"],
        ),
    ],
    ids=["missing", "extra", "misshapen", "NaN"],
)
def test_wrong_tensors(run, one_line, state, tmp_path, change, needles):
    path = tmp_path / "changed.pth"
    torch.save(change(state), path)
    _assert_refused(run, one_line, tmp_path, path, 3, *needles)


def test_wrong_architecture_names_both(run, one_line, checkpoint, tmp_path):
    out = tmp_path / "out.keras"
    for wrong in ("cait_xxs36_224", "vit_small_patch16_224", "cait_s24_224"):
        result = run("convert", checkpoint, "-m", wrong, "-o", out)
        assert result.code == 3
        one_line(result.err.splitlines()[-1], wrong, NAME)
        assert not out.exists()


def test_pickle_that_runs_code(run, one_line, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'canary'}",)

    path = tmp_path / "payload.pth"
    torch.save({"cls_token": Payload()}, path)
    _assert_refused(run, one_line, tmp_path, path, 3, "system")
    assert not (tmp_path / "canary").exists()


def test_output_that_exists_and_output_that_is_the_source(run, one_line, checkpoint, tmp_path):
    out = tmp_path / "out.keras"
    out.write_bytes(b"old")
    result = run("convert", checkpoint, "-m", NAME, "-o", out)
    assert result.code == 5
    one_line(result.err, "out.keras")
    assert out.read_bytes() == b"old"
    same = tmp_path / "same.keras"
    same.write_bytes(checkpoint.read_bytes())
    result = run("convert", same, "-m", NAME, "-o", same, "--overwrite")
    assert result.code == 5
    assert same.read_bytes() == checkpoint.read_bytes()
    result = run("convert", checkpoint, "-m", NAME, "-o", tmp_path / "none" / "out.keras")
    assert result.code == 5
    assert run("convert", checkpoint, "-m", NAME, "-o", tmp_path / "out.h5").code == 2


def test_full_disk_leaves_the_old_file(run, one_line, checkpoint, tmp_path):
    """A file-size limit stands for the disk: the same error at the same place."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        _assert_refused(run, one_line, tmp_path, checkpoint, 5, "out.keras")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing(checkpoint, tmp_path, number, code):
    folder = tmp_path / "result"
    folder.mkdir()
    command = [sys.executable, "-m", "kerasvit", "convert", str(checkpoint), "-m", NAME]
    process = subprocess.Popen(
        [*command, "-o", str(folder / "out.keras")],
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background deaf to an interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if line.startswith("Assigned"):
            process.send_signal(number)
            break
    process.stderr.read()
    assert process.wait(60) == code
    process.stderr.close()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["file/out.keras", "x" * 260 + ".keras"])
def test_an_output_that_cannot_be_is_refused_before_any_work(
    run, one_line, checkpoint, tmp_path, name
):
    (tmp_path / "file").write_bytes(b"no folder")
    before = sorted(tmp_path.iterdir())
    result = run("convert", checkpoint, "-m", NAME, "-o", tmp_path / name)
    assert result.code == 5
    one_line(result.err)
    assert "Found" not in result.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_grid_that_is_not_square_needs_its_size(run, one_line, state, tmp_path):
    path = tmp_path / "wide.pth"
    torch.save({**state, "pos_embed": state["pos_embed"][:, : 13 * 15]}, path)
    _assert_refused(run, one_line, tmp_path, path, 3, "195", "--image-size")
    out = tmp_path / "wide.keras"
    size = ("--image-size", 13 * 16, 15 * 16)
    result = run("convert", path, "-m", NAME, "-o", out, "--no-verify", *size)
    assert result.code == 0, result.err
    assert kerasvit.from_pretrained(out).image_shape == (208, 240, 3)


def test_a_file_of_another_model_is_refused(checkpoint, tmp_path):
    from kerasvit.errors import InputError

    out = tmp_path / "out.keras"
    convert(checkpoint, out, model=NAME, verify=False)
    assert kerasvit.from_pretrained(out, model=NAME).name == NAME
    with pytest.raises(InputError, match="a file of 'cait_xxs24_224'"):
        kerasvit.from_pretrained(out, model="cait_s24_224")
