"""A model made of NumPy whose classes are known, and the trained toy models."""

import importlib.util
import pathlib
import types
import unittest.mock

import numpy as np
import pytest

from kerasvit.layout import TokenLayout
from kerasvit.models.family import FamilyFacts

PATCH, GRID = 4, (4, 6)


class Corners(FamilyFacts):
    """A model with a class for each quarter of the picture: its logit is the light there."""

    family = "vit"
    num_classes, num_layers = 4, 0
    view_arguments = ()
    record = types.MappingProxyType({})

    def with_attention(self, mode, **overrides):
        return self

    def token_layout(self, image_shape, stage="sa"):
        return TokenLayout((), (image_shape[0] // PATCH, image_shape[1] // PATCH), (PATCH, PATCH))

    def __call__(self, pixels, training=False):
        batch, height, width, _ = np.shape(pixels)
        quarters = np.reshape(pixels, (batch, 2, height // 2, 2, width // 2, 3))
        return quarters.mean(axis=(2, 4, 5)).reshape(batch, 4), {}, {}


def light(corner, size=(16, 24)):
    """Return a dark picture with one light quarter."""
    picture = np.zeros((*size, 3), np.float32)
    rows = slice(0, size[0] // 2) if corner < 2 else slice(size[0] // 2, None)
    columns = slice(0, size[1] // 2) if corner % 2 == 0 else slice(size[1] // 2, None)
    picture[rows, columns] = 4
    return picture


class Colours(Corners):
    """A model without classes: its feature is the mean colour."""

    num_classes = 0
    class_blocks = ()

    def __call__(self, pixels, training=False):
        return pixels.mean(axis=(1, 2)), {}, {}


@pytest.fixture
def colours():
    """The model, and a picture of each direction of colour."""
    shades = np.vstack([np.eye(3), -np.ones((1, 3))]).astype(np.float32)
    pixels = np.broadcast_to(shades[:, None, None], (4, 16, 24, 3))
    return types.SimpleNamespace(model=Colours(), pixels=pixels)


@pytest.fixture(scope="session", autouse=True)
def compile_quickly(quick_compilation):
    """See `quick_compilation`."""


@pytest.fixture
def corners():
    pixels = np.stack([light(corner) for corner in range(4)])
    rows, columns = np.mgrid[: GRID[0], : GRID[1]]
    quarter = 2 * (rows // 2) + columns // 3
    maps = np.stack([(quarter == corner).astype(np.float32) for corner in range(4)])
    return types.SimpleNamespace(model=Corners(), pixels=pixels, maps=maps)


@pytest.fixture(scope="session")
def planted():
    """The toy task of `tests/golden/planted.py` with its trained ViT."""
    import keras

    path = pathlib.Path(__file__).parents[1] / "golden" / "planted.py"
    spec = importlib.util.spec_from_file_location("planted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def zeros(initializer, shape, dtype=None):
        return np.zeros(shape, dtype)

    with unittest.mock.patch.object(keras.initializers.TruncatedNormal, "__call__", zeros):
        module.model = module.load("vit")
    return module


@pytest.fixture(scope="session")
def headless(planted):
    """The trained ViT without its head."""
    from kerasvit.models import VisionTransformer

    model = VisionTransformer(**{**planted.SIZES, "num_classes": 0})
    known = {variable.path.split("/", 1)[1]: variable for variable in planted.model.weights}
    for variable in model.weights:
        variable.assign(known[variable.path.split("/", 1)[1]])
    return model
