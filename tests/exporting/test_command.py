"""`kerasvit export`: the command around `kerasvit.export`."""

import collections
import json
import unittest.mock

import numpy as np
import pytest

from kerasvit.cli import main
from kerasvit.exporting import FORMATS

Result = collections.namedtuple("Result", "code out err")


@pytest.fixture
def run(capsys):
    """Function that runs one command in this process."""

    def command(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        return Result(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def saved_model(make_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    make_model("distilled").save(path)
    return path


def test_a_model_leaves_with_one_command(run, saved_model, tmp_path):
    path = tmp_path / "out.pt2"
    arguments = ["--attention", "cls", "--blocks", "0,-1", "--image-size", "16", "24"]
    result = run("export", saved_model, "-o", path, *arguments, "--preprocess")
    assert result.code == 0, result.err
    assert result.out == f"{path}\n"
    lines = result.err.splitlines()
    assert "kerasvit: Writing a PyTorch program ..." in lines
    assert "kerasvit: Running torch and the model on 5 pictures of 16x24 pixels ..." in lines
    assert "checked in torch" in lines[-1]
    assert "batches of 1 and 5" in result.err
    facts = json.loads((tmp_path / "out.pt2.json").read_text())
    assert facts["input"]["dtype"] == "uint8"
    assert facts["class_names"] == ["ant", "bee", "café"]
    outputs = FORMATS["torch"].load(path)(np.zeros((3, 16, 24, 3), np.uint8))
    assert {name: value.shape for name, value in outputs.items()} == {
        "logits": (3, 3),
        "sa_ffn_block_00_att": (3, 2, 2, 8),
        "sa_ffn_block_01_att": (3, 2, 2, 8),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "a.h5"], 2, "stablehlo"),
        (["-o", "a.onnx", "--format", "coreml"], 2, "onnx, saved_model"),
        (["-o", "a.onnx", "--precision", "int4"], 2, "float32 or float16 or int8"),
        (["-o", "a.onnx", "--attention", "some"], 2, "'cls'"),
        (["-o", "a.onnx", "--blocks", "one"], 2, "--blocks"),
        (["-o", "none/a.pt2"], 5, "does not exist"),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_line(
    run, saved_model, tmp_path, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    result = run("export", saved_model, *arguments)
    assert result.code == code, result.err
    assert words in result.err.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_not_checked_is_said(run, saved_model, tmp_path):
    with unittest.mock.patch("kerasvit.exporting.checking.is_installed", return_value=False):
        result = run("export", saved_model, "-o", tmp_path / "a.pt2", "--attention", "none")
    assert result.code == 0, result.err
    assert "not checked: torch is not installed" in result.err
