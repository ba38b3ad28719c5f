"""Models of every kind of read-out, so small that an export takes a second."""

import logging

import keras
import numpy as np
import pytest
from breadth import spread
from browser import chromium, page  # noqa: F401

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.exporting import FORMATS
from kerasvit.exporting.formats.web.runtime import FILES, find_runtime

SMALL = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "mlp_dim": 24, "num_classes": 3}
KINDS = {
    "cait": (kerasvit.CaiT, {"num_class_layers": 2}),
    "vit": (kerasvit.VisionTransformer, {}),
    "distilled": (kerasvit.VisionTransformer, {"use_distillation_token": True}),
    "registers": (
        kerasvit.VisionTransformer,
        {"num_registers": 3, "layer_scale_init_value": 0.1, "mlp_type": "gated"},
    ),
    "rotary": (
        kerasvit.VisionTransformer,
        {"position_embedding": "none", "rope_type": "dinov3"},
    ),
    "mixed": (
        kerasvit.VisionTransformer,
        {"rope_type": "mixed", "position_embedding": "patches"},
    ),
    "biases": (kerasvit.VisionTransformer, {"use_relative_position_bias": True}),
    "pooling": (kerasvit.VisionTransformer, {"use_class_token": False, "pooling": "attention"}),
    "xcit": (kerasvit.XCiT, {"num_class_layers": 1}),
}
# Not square, so that height and width can't be mistaken for each other.
IMAGE_SHAPE = (16, 24, 3)


def formats_here():
    """The formats that this process' backend writes."""
    here = keras.backend.backend()
    return [name for name, form in FORMATS.items() if form.backend == here and name != "web"]


def pytest_generate_tests(metafunc):
    """A test of `format_name` runs for the formats of the backend that it runs on.

    One of `format_kind` runs for each of those and each of its module's `KINDS`; the suite takes
    the pairs of the module's `SAMPLE`.
    """
    if "format_name" in metafunc.fixturenames:
        metafunc.parametrize("format_name", formats_here())
    if "format_kind" in metafunc.fixturenames:
        pairs = [(name, kind) for name in formats_here() for kind in metafunc.module.KINDS]
        sample = [pair for pair in pairs if pair in metafunc.module.SAMPLE]
        metafunc.parametrize("format_kind", spread(pairs, sample), ids="-".join)


@pytest.fixture(scope="session", autouse=True)
def quiet():
    """PyTorch traces its own compiler into a logger that pytest would keep every line of."""
    logging.getLogger("torch.__trace").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def make_model(preprocessing_record):
    """Function from a kind to a model of it, every weight away from where it starts."""

    def make(kind="vit", seed=0, **overrides):
        model_type, arguments = KINDS[kind]
        record = {
            "preprocessing": preprocessing_record(*IMAGE_SHAPE[:2]),
            "class_names": ["ant", "bee", "café"],
            "licence": "CC0",
        }
        arguments = {**SMALL, "image_shape": IMAGE_SHAPE, "patch_size": 8, **arguments, **overrides}
        model = model_type(record=record, **arguments)
        random = np.random.default_rng(seed)
        for weight in model.weights:
            values = random.normal(0, 0.3, weight.shape).astype("float32")
            # A variance is not negative.
            weight.assign(0.5 + abs(values) if weight.path.endswith("moving_variance") else values)
        return model

    return make


@pytest.fixture
def output(tmp_path):
    """Function from a format to a path that it can be written to."""
    return lambda name: tmp_path / f"out{FORMATS[name].suffix}"


@pytest.fixture
def empty_runtime(tmp_path):
    """A folder with files by the names of ONNX Runtime Web's, and nothing in them."""
    folder = tmp_path / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    for name in FILES.values():
        (folder / name).write_bytes(b"")
    return folder.parent


@pytest.fixture(scope="session")
def web_runtime():
    """ONNX Runtime Web, or a skip that says where it was sought."""
    try:
        return find_runtime()
    except UsageError as error:
        pytest.skip(str(error))
