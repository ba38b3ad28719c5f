import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.training.run.train import train

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="dropout draws from a generator of the process on PyTorch alone",
)


def test_a_resumed_run_drops_what_the_whole_one_does(tiny, tmp_path):
    tables = {
        "model": {"arguments": {**tiny().model.arguments, "dropout_rate": 0.3}},
        "schedule": {"epochs": 2},
    }
    whole = train(tiny(**tables), tmp_path / "whole")
    # Stopped in the middle of an epoch, and at its end, after the test pictures.
    for stop in (2, 3, 0):
        parts = train(tiny(run={"max_steps": stop}, **tables), tmp_path / "parts", resume=stop != 2)
    models = [kerasvit.from_pretrained(result.path) for result in (whole, parts)]
    for one, two in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, two)
