"""One training step is the same on every backend: against the step of one of them, stored."""

import importlib.util
import pathlib

import numpy as np
import pytest

pytestmark = pytest.mark.backend

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "training.py"


def test_loss_and_gradients_equal_the_stored_ones():
    specification = importlib.util.spec_from_file_location("golden_training", GOLDEN)
    golden = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(golden)
    found = golden.steps()
    with np.load(golden.PATH) as stored:
        assert set(found) == set(stored.files)
        gradients = [name for name in found if not name.endswith("loss")]
        assert np.median([np.abs(stored[name]).max() for name in gradients]) > 1e-3
        for name, values in found.items():
            np.testing.assert_allclose(values, stored[name], rtol=0, atol=1e-4, err_msg=name)
