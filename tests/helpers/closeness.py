"""How far apart two arrays may be that differ by rounding alone."""

import numpy as np

FLOAT32_ROUNDING = float(np.finfo(np.float32).eps)


def assert_close(actual, expected, roundings: float = 32, message: str = "") -> None:
    """Compare arrays by the largest magnitude of the expected one.

    A processor sums in the order that its vectors allow, and contracts products into the sums or
    not. So what is computed in float32 is known to a few roundings of the largest value that took
    part, however small the single result is: a tolerance relative to each value is too narrow for
    sums that cancel, and one that is absolute is too narrow for large values.

    Args:
        roundings: how many units in the last place of the largest magnitude; about the number of
            terms of the longest sum, at most.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert np.isfinite(actual).all(), message
    largest = np.abs(expected).max(initial=0)
    tolerance = roundings * FLOAT32_ROUNDING * largest
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=message)
