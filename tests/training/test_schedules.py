import math

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.training.schedules import warmup_cosine


def _formula(step, peak, steps, warmup, start, final):
    if step < warmup:
        return start + (peak - start) * step / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 + math.cos(math.pi * share)) / 2


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize(("start", "final"), [(0.0, 0.0), (1e-6, 1e-5)])
def test_rate_is_the_closed_form_at_every_step(warmup, start, final):
    schedule = warmup_cosine(0.004, 30, warmup, start=start, final=final)
    rates = [float(schedule(step)) for step in range(35)]
    expected = [_formula(step, 0.004, 30, warmup, start, final) for step in range(35)]
    np.testing.assert_allclose(rates, expected, atol=1e-9)
    assert max(rates) == pytest.approx(0.004)


@pytest.mark.parametrize(
    "arguments",
    [
        {"peak": 0.0, "steps": 10},
        {"peak": 1.0, "steps": 10, "final": 2.0},
        {"peak": 1.0, "steps": 10, "warmup_steps": 10},
        {"peak": 1.0, "steps": 10, "warmup_steps": -1},
        {"peak": float("nan"), "steps": 10},
    ],
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match="Received"):
        warmup_cosine(**arguments)
