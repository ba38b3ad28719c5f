"""What `kerasvit.export` refuses, leaves alone, and asks another process to do."""

import json
import unittest.mock
import warnings

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import OutputError, UsageError
from kerasvit.exporting import FORMATS, exporter
from kerasvit.exporting.checking import deviation_of
from kerasvit.exporting.process import export_elsewhere


@pytest.fixture
def writes_nothing():
    """Fail where something is written: what is refused is refused before."""
    with unittest.mock.patch.object(exporter, "export_here", side_effect=AssertionError):
        yield


@pytest.mark.usefixtures("writes_nothing")
@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("a.onnx", {"format": "tflite"}, "litert"),
        ("a.h5", {}, "suffix"),
        ("a.h5", {"format": "onnx"}, r"ends in \.onnx"),
        ("a.onnx", {"attention": "some"}, "'full', 'cls', 'none'"),
        ("a.onnx", {"blocks": ["x"]}, "whole numbers"),
        ("a.onnx", {"image_size": (16,)}, r"\(height, width\)"),
        ("a.onnx", {"image_size": (0, 16)}, r"\(height, width\)"),
        ("a.onnx", {"image_size": "any"}, "'dynamic'"),
        ("a.html", {"image_size": "dynamic"}, "fixed.*one a size"),
        ("a.onnx", {"precision": "int4"}, "'float32', 'float16', 'int8'"),
        ("a.pt2", {"precision": "int8"}, "onnx, litert"),
        ("a.onnx", {"saliency": "relevance"}, "'attention', 'rollout'"),
        ("a.onnx", {"saliency": "rollout", "attention": "cls"}, "Leave one"),
    ],
)
def test_wrong_arguments_are_told_in_a_line(make_model, tmp_path, name, arguments, words):
    with pytest.raises(UsageError, match=words) as error:
        kerasvit.export(make_model(), tmp_path / name, **arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("vit", {"image_size": (17, 24)}, "multiples of the patch size"),
        ("vit", {"blocks": [2]}, "block numbers"),
        ("pooling", {"saliency": "rollout"}, "class token"),
        ("vit", {"preprocess": True}, "no preprocessing"),
        ("biases", {"image_size": "dynamic"}, "biases.*one file a size"),
    ],
)
def test_what_a_model_cannot_give_is_told_in_a_line(make_model, tmp_path, kind, arguments, words):
    model = make_model(kind)
    model.record = {} if "preprocess" in arguments else model.record
    with pytest.raises(UsageError, match=words):
        kerasvit.export(model, tmp_path / "a.pt2", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("writes_nothing")
def test_only_plain_float32_models_are_exported(make_model, tmp_path):
    with pytest.raises(UsageError, match="mixed_bfloat16"):
        kerasvit.export(make_model(dtype="mixed_bfloat16"), tmp_path / "a.pt2")
    quantized = make_model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names each layer that it leaves as it is
        quantized.quantize("int8")
    with pytest.raises(UsageError, match="quantize"):
        kerasvit.export(quantized, tmp_path / "a.pt2")


@pytest.mark.usefixtures("writes_nothing")
def test_a_missing_package_is_named_with_its_extra(make_model, tmp_path):
    without = unittest.mock.patch("kerasvit.exporting.formats.format.installed_version")
    with without as version:
        version.return_value = None
        with pytest.raises(UsageError, match=r'onnx, onnxscript.*"kerasvit\[export\]"'):
            kerasvit.export(make_model(), tmp_path / "a.onnx")


def test_without_the_runtime_it_is_kept_and_says_not_checked(make_model, tmp_path):
    with unittest.mock.patch("kerasvit.exporting.checking.is_installed", return_value=False):
        written = kerasvit.export(make_model(), tmp_path / "a.pt2", attention="none")
    assert written.check["checked"] is False
    assert "torch is not installed" in written.check["why"]
    assert json.loads(written.sidecar.read_text())["check"] == written.check


def _broken_runner(change):
    """A runtime that computes something else."""

    load_program = FORMATS["torch"].load

    def load(path):
        run = load_program(path)

        def broken(images):
            return change(run(images))

        return broken

    return load


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda outputs: {**outputs, "ca_ffn_block_00_att": outputs["ca_ffn_block_00_att"] * 1.01},
         "'ca_ffn_block_00_att' off by"),
        (lambda outputs: {**outputs, "logits": outputs["logits"] * np.nan}, "'logits' off by inf"),
        (lambda outputs: {"logits": outputs["logits"]}, "other outputs"),
        (lambda outputs: {**outputs, "logits": outputs["logits"][:1, :1]}, "other outputs"),
    ],
)  # fmt: skip
def test_a_runtime_that_computes_something_else_leaves_the_old_files(
    make_model, tmp_path, change, words
):
    path = tmp_path / "a.pt2"
    path.write_bytes(b"old")
    broken = {"torch": _replaced(FORMATS["torch"], load=_broken_runner(change))}
    with (
        unittest.mock.patch.dict(exporter.FORMATS, broken),
        pytest.raises(OutputError, match=words),
    ):
        exporter.export_here(
            make_model("cait"), str(path), "torch", {"attention": "cls"}, overwrite=True
        )
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt2"]


def _replaced(form, **fields):
    import dataclasses

    return dataclasses.replace(form, **fields)


def test_an_existing_output_is_kept_unless_asked_for(make_model, tmp_path):
    path = tmp_path / "a.pt2"
    sidecar = tmp_path / "a.pt2.json"
    for old in (path, sidecar):
        old.write_bytes(b"old")
        with pytest.raises(OutputError, match="exists"):
            kerasvit.export(make_model(), path, attention="none")
        assert [file.name for file in tmp_path.iterdir()] == [old.name]
        old.unlink()


def test_deviation_is_of_the_largest_value_where_that_is_above_one():
    assert deviation_of(np.float32([0.5, 0.1]), np.float32([0.5, 0.2])) == pytest.approx(0.1)
    assert deviation_of(np.float32([10, 1]), np.float32([10, 2])) == pytest.approx(0.1)
    assert deviation_of(np.float32([1.0, 0.0]), np.float32([1.0, np.nan])) == float("inf")


def test_the_backend_that_a_format_needs_runs_in_a_process_of_its_own(make_model, tmp_path):
    """On PyTorch here, StableHLO there: JAX writes it, from the same weights."""
    path = tmp_path / "a.stablehlo"
    model = make_model("vit", hidden_dim=8, num_layers=1)
    written = kerasvit.export(model, path, attention="cls")
    assert written.check["runtime"].startswith("jax")
    assert written.check["worst"] < 1e-5
    images = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype("float32")
    given = FORMATS["stablehlo"].load(path)(images)
    logits, sa_scores, _ = model.with_attention("cls")(images)
    for name, wanted in {"logits": logits, **sa_scores}.items():
        np.testing.assert_allclose(given[name], keras.ops.convert_to_numpy(wanted), atol=2e-5)


def test_errors_of_the_other_process_come_back_as_they_were(make_model, tmp_path):
    order = {"path": str(tmp_path / "a.stablehlo"), "format": "stablehlo", "overwrite": False}
    with pytest.raises(UsageError, match="block numbers"):
        export_elsewhere(make_model(), "jax", {**order, "request": {"blocks": [7]}})
    assert not list(tmp_path.iterdir())


def test_keras_own_export_names_ours(make_model, tmp_path):
    model = make_model()
    with pytest.raises(UsageError, match=r"kerasvit\.export\(model") as error:
        model.export(tmp_path / "a.onnx", format="onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
