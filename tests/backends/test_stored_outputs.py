"""The backends give the same numbers: the design's bars, against outputs stored by one of them."""

import importlib.util
import pathlib

import numpy as np
import pytest

pytestmark = pytest.mark.backend

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "backends.py"


def test_logits_and_scores_equal_the_stored_ones():
    specification = importlib.util.spec_from_file_location("golden_backends", GOLDEN)
    golden = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(golden)
    outputs = golden.outputs()
    with np.load(golden.PATH) as stored:
        assert set(outputs) == set(stored.files)
        for name, values in outputs.items():
            tolerance = 2e-5 if name.endswith("logits") else 1e-6
            np.testing.assert_allclose(values, stored[name], rtol=0, atol=tolerance, err_msg=name)
