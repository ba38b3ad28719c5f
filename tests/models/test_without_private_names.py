"""Models without each of the names that `kerasvit.private_names` knows: slower, and right."""

import pathlib
import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest

import kerasvit
from kerasvit import private_names

ROOT = pathlib.Path(__file__).resolve().parents[2]

NAMES = (
    *private_names._OF_LAYERS,
    *private_names._OF_MODULES,
    *private_names._OF_PYTORCH,
    *private_names._OF_POLICIES,
)


@pytest.fixture
def without(monkeypatch):
    """Function that lets one private name be missing, and its room touch none of what is gone."""

    def remove(missing):
        def has(owner, name):
            return name != missing and hasattr(owner, name)

        calls, policies = private_names._resolve(has)
        monkeypatch.setattr(private_names, "_KNOWS_CALLS", calls)
        monkeypatch.setattr(private_names, "_KNOWS_POLICIES", policies)
        private_names.warn.cache_clear()
        if not calls:
            monkeypatch.delattr(private_names, "is_plain")
            monkeypatch.delattr(private_names, "is_unwatched")

    yield remove
    private_names.warn.cache_clear()


TINY = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 1,
    "num_heads": 3,
    "mlp_dim": 20,
}


def _weights(shapes):
    generator = np.random.default_rng(0)
    return [generator.normal(scale=0.4, size=shape) for shape in shapes]


def _life(model_type, folder):
    """Run a model, fit a step, save, load and run it again; return its logits before and after."""
    keras.utils.set_random_seed(0)
    model = model_type(**TINY)
    model.set_weights(_weights(weight.shape for weight in model.weights))
    images = np.random.default_rng(1).normal(size=(2, 16, 24, 3)).astype("float32")
    logits = [model(images)[0]]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(images, np.arange(2), batch_size=2, verbose=0)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    logits += [model(images)[0], loaded(images)[0]]
    # One layer, not all: Keras collects garbage for each, a third of a second.
    model.head.quantize("int8")
    model.save(folder / "quantized.keras")
    logits.append(keras.saving.load_model(folder / "quantized.keras")(images)[0])
    return [keras.ops.convert_to_numpy(one) for one in logits]


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lives")
    return {name: _life(getattr(kerasvit, name), folder) for name in ("CaiT", "VisionTransformer")}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_lives_without_each_name(without, lives, tmp_path, name):
    without(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logits = _life(kerasvit.CaiT, tmp_path)
    assert len([one for one in caught if "newer kerasvit" in str(one.message)]) == 1
    for one, other in zip(logits, lives["CaiT"], strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(logits[1], logits[2])


RENAMED = """
import importlib.machinery, re, sys

class Renaming(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        data = super().get_data(path)
        return re.sub(rb"\\b({names})\\b", rb"_renamed\\1", data) if path.endswith(".py") else data

    def path_stats(self, path):
        raise OSError("no compiled file")

class Finder:
    def find_spec(self, name, path=None, target=None):
        if not (name.startswith("keras.src.") or name == "torch.nn.modules.module"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Renaming(spec.loader.name, spec.loader.path)
        return spec

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    # One warning for each consequence; without direct calls nobody asks a weight what it holds.
    ("names", "warned"),
    [((*NAMES, *private_names._OF_WEIGHTS), 2), (private_names._OF_WEIGHTS, 1)],
    ids=["all", "of weights"],
)
def test_models_live_in_a_keras_that_has_renamed_them(lives, tmp_path, names, warned):
    program = RENAMED.replace("{names}", "|".join(names)) + textwrap.dedent(
        f"""
        import importlib.util, pathlib
        import keras, numpy
        assert not hasattr(keras.Variable([0.0]), "_value")
        spec = importlib.util.spec_from_file_location("tests_here", {__file__!r})
        here = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(here)
        for name in ("CaiT", "VisionTransformer"):
            logits = here._life(getattr(here.kerasvit, name), pathlib.Path({str(tmp_path)!r}))
            numpy.savez(pathlib.Path({str(tmp_path)!r}) / name, *logits)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Look for a newer kerasvit") == warned, result.stderr
    for name, logits in lives.items():
        with np.load(tmp_path / f"{name}.npz") as renamed:
            for one, other in zip(logits, renamed.values(), strict=True):
                assert np.array_equal(one, other)
