"""Scores and models made of NumPy alone, shaped as the real ones."""

import importlib.util
import pathlib
import types
import unittest.mock

import numpy as np
import pytest

from kerasvit.layout import TokenLayout
from kerasvit.models.family import FamilyFacts

PREFIXES = {
    0: (),
    1: ("class",),
    2: ("class", "distillation"),
    5: ("class", "register_0", "register_1", "register_2", "register_3"),
}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def _named(stage, count):
    return [types.SimpleNamespace(name=f"{stage}_ffn_block_{i:02d}") for i in range(count)]


class FakeModel(FamilyFacts):
    """A model of softmax rows, each image's from its own pixels, that counts what it is asked for.

    With class layers it is shaped like CaiT: no prefix tokens in the self-attention stage, whose
    scores are signed unless `scores_before_mixing` is set.
    """

    def __init__(self, num_layers=3, num_class_layers=0, num_heads=2, prefix=("class",), patch=4):
        self.num_layers, self.num_class_layers = num_layers, num_class_layers
        self.record = {}
        self.num_heads, self.patch = num_heads, patch
        self.prefix = () if num_class_layers else prefix
        self.blocks = _named("sa", num_layers)
        self.class_blocks = _named("ca", num_class_layers)
        self.mode, self.chosen, self.before_mixing = "full", None, False
        self.logits = "both" if "distillation" in self.prefix else "average"
        self.view_arguments = (
            "scores_before_mixing" if num_class_layers else "distillation_output",
        )
        self.log = []

    @property
    def is_distilled(self):
        return "distillation" in self.prefix

    def with_attention(self, mode, blocks=None, **overrides):
        assert set(overrides) <= set(self.view_arguments)
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, mode=mode, chosen=blocks)
        view.before_mixing = overrides.get("scores_before_mixing", self.before_mixing)
        view.logits = overrides.get("distillation_output", self.logits)
        return view

    def token_layout(self, image_shape, stage="sa"):
        grid = (image_shape[0] // self.patch, image_shape[1] // self.patch)
        prefix = ("class",) if stage == "ca" else self.prefix
        return TokenLayout(prefix, grid, (self.patch, self.patch))

    def _rows(self, pixels, stage, block):
        """(B, H, N, N) softmax rows; patch (r, c) attracts by the brightness of its pixels."""
        layout = self.token_layout(pixels.shape[1:], stage)
        rows, columns = layout.grid
        cells = pixels.reshape(len(pixels), rows, self.patch, columns, self.patch, 3)
        light = cells.mean(axis=(2, 4, 5)).reshape(len(pixels), 1, 1, -1)
        shape = (1, self.num_heads, layout.num_tokens, layout.num_tokens)
        logits = np.random.default_rng(100 * (stage == "ca") + block).normal(size=shape) * 0.3
        logits = np.repeat(logits, len(pixels), axis=0)
        logits[..., layout.num_prefix :] += light
        return softmax(logits)

    def __call__(self, pixels, training=False):
        assert training is False
        self.log.append((self.mode, self.chosen, len(pixels)))
        logits = np.stack([pixels.mean(axis=(1, 2, 3)), pixels.max(axis=(1, 2, 3))], axis=1)
        sa, ca = {}, {}
        kept = range(self.num_layers) if self.chosen is None else self.chosen
        queries = sum(name in ("class", "distillation") for name in self.prefix)
        for block in kept:
            scores = self._rows(pixels, "sa", block)
            if self.num_class_layers and not self.before_mixing:
                scores = scores - 0.05
            if self.mode == "full":
                sa[f"sa_ffn_block_{block:02d}_att"] = scores
            elif queries:
                sa[f"sa_ffn_block_{block:02d}_att"] = scores[:, :, :queries]
        for block in range(self.num_class_layers):
            ca[f"ca_ffn_block_{block:02d}_att"] = self._rows(pixels, "ca", block)[:, :, :1]
        return (logits, logits) if self.logits == "both" else logits, sa, ca


@pytest.fixture(scope="session", autouse=True)
def compile_quickly(quick_compilation):
    """See `quick_compilation`."""


@pytest.fixture
def fakes():
    return types.SimpleNamespace(Model=FakeModel, softmax=softmax, PREFIXES=PREFIXES)


def with_seeded_weights(model, seed=0, scale=0.3):
    """Give every weight a value that depends on its name alone: the same on every backend."""
    for variable in model.weights:
        name = variable.path.split("/", 1)[1]
        rng = np.random.default_rng([seed, *name.encode()])
        mean = 1.0 if name.endswith("gamma") else 0.0
        variable.assign(rng.normal(mean, scale, variable.shape).astype(np.float32))
    return model


SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 20,
}


def make_vit(**arguments):
    return _make("VisionTransformer", **{**SIZES, **arguments})


def make_cait(**arguments):
    return _make("CaiT", **{**SIZES, "num_class_layers": 2, **arguments})


def _make(name, **arguments):
    """Make a model, or return the one made before."""
    import kerasvit.models

    key = name, repr(arguments)
    if key not in _MADE:
        with from_zeros():
            model = getattr(kerasvit.models, name)(**arguments)
        _MADE[key] = with_seeded_weights(model)
    return _MADE[key]


def from_zeros():
    """Make models without a random start, for which JAX takes seconds."""
    import keras

    def zeros(initializer, shape, dtype=None):
        return np.zeros(shape, dtype)

    return unittest.mock.patch.object(keras.initializers.TruncatedNormal, "__call__", zeros)


_MADE = {}


@pytest.fixture(scope="session")
def real():
    """Small models with fixed random weights, the same on every backend, and their input."""
    pixels = np.random.default_rng(7).normal(size=(2, 12, 20, 3)).astype(np.float32)
    return types.SimpleNamespace(vit=make_vit, cait=make_cait, pixels=pixels)


@pytest.fixture(scope="session")
def planted():
    """The toy task of `tests/golden/planted.py` with its trained models."""
    path = pathlib.Path(__file__).parents[1] / "golden" / "planted.py"
    spec = importlib.util.spec_from_file_location("planted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with from_zeros():
        module.models = {name: module.load(name) for name in ("vit", "cait")}
    return module


@pytest.fixture
def pixels():
    """Two images of 12x20 pixels: a grid of 3x5; a bright patch at row 1, column 2 in the first."""
    pixels = np.random.default_rng(0).uniform(0, 0.1, (2, 12, 20, 3)).astype(np.float32)
    pixels[0, 4:8, 8:12] = 5
    pixels[1, 8:12, 0:4] = 5
    return pixels
