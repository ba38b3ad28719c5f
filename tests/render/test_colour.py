import sys

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.render.colour import colourise


def test_colours_are_those_of_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    values = np.linspace(0, 1, 24).reshape(2, 3, 4)
    for name in ("cividis", "inferno"):
        expected = np.rint(matplotlib.colormaps[name](values)[..., :3] * 255)
        found = colourise(values, name)
        assert found.dtype == np.uint8
        assert found.shape == (2, 3, 4, 3)
        np.testing.assert_allclose(found, expected, atol=1)


def test_the_default_gets_lighter_with_the_value():
    light = colourise(np.linspace(0, 1, 256)).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(light) >= -0.5).all()
    assert light[-1] - light[0] > 150


def test_a_single_number_has_a_colour_too():
    assert colourise(np.float32(1)).shape == (3,)


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match="0 to 1"):
        colourise(np.array([0.5, bad]))


def test_an_unknown_colormap_is_refused():
    with pytest.raises(UsageError, match="'rainbow2'"):
        colourise(np.zeros((2, 2)), "rainbow2")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="pip install"):
        colourise(np.zeros((2, 2)))
