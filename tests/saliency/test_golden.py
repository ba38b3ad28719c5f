"""The backends give the same gradients and maps: against arrays that one of them stored."""

import importlib.util
import pathlib
import unittest.mock

import numpy as np
import pytest

from kerasvit.saliency import METHODS, backends
from kerasvit.saliency.gradients import attention_gradients

pytestmark = pytest.mark.backend

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


@pytest.fixture
def optimised(optimising):
    """Compile as users do."""
    with unittest.mock.patch.object(backends, "COMPILER_OPTIONS", optimising):
        yield


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_scores_and_gradients(real, optimised, name):
    """`python tests/golden/gradients.py` wrote the arrays, with TensorFlow."""
    with np.load(GOLDEN / "gradients.npz") as golden:
        logits, scores, gradients = attention_gradients(getattr(real, name)(), real.pixels, [1, 3])
        np.testing.assert_allclose(logits, golden[f"{name}/logits"], atol=1e-5)
        for key, value in scores.items():
            np.testing.assert_allclose(value, golden[f"{name}/scores/{key}"], atol=1e-6)
            expected = golden[f"{name}/gradients/{key}"]
            tolerance = 1e-5 * max(1, np.abs(expected).max())
            np.testing.assert_allclose(gradients[key], expected, atol=tolerance)


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_maps(real, name):
    """`python tests/golden/maps.py` wrote the arrays, with TensorFlow."""
    spec = importlib.util.spec_from_file_location("golden_maps", GOLDEN / "maps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.METHODS) == set(METHODS)
    found = module.maps({name: getattr(real, name)()}, real.pixels)
    with np.load(GOLDEN / "maps.npz") as golden:
        assert set(found) == {key for key in golden.files if key.startswith(name)}
        for key, values in found.items():
            # A patch of these sums 48 pixels times gradients of either sign, which cancel: the
            # terms, which are rounded, are ten times as large as what is left of them.
            share = 1e-4 if key.endswith("integrated_gradients") else 1e-5
            tolerance = share * np.abs(golden[key]).max()
            np.testing.assert_allclose(values, golden[key], atol=tolerance, err_msg=key)
