"""How panels are laid out: as tall as their pictures are, six a line."""

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import UsageError
from kerasvit.saliency.figures.drawing import draw
from kerasvit.saliency.figures.panels import Panel
from kerasvit.saliency.pictures import open_pictures


def _drawn(*rows, title=None, colormap="inferno", opacity=0.5):
    return draw(rows, title=title, colormap=colormap, opacity=opacity, figure=None)


def _panel(height, width):
    return Panel("a title", (height, width), values=np.zeros((height, width)))


def _size(*rows, **arguments):
    return tuple(_drawn(*rows, **arguments).get_size_inches().tolist())


def test_a_panel_is_as_tall_as_its_picture():
    """In its proportions, but for panoramas: a panel's width is one for all."""
    (width, square), title = _size([_panel(8, 8)]), _size([_panel(8, 8)], title="x")
    assert title[0] == width
    above = square - width
    assert 0.1 < above < width / 2
    assert title[1] == pytest.approx(square + above)
    for height, ratio in ((12, 1.5), (4, 0.5), (8 * 99, 2.5), (1, 0.3)):
        assert _size([_panel(height, 8)]) == pytest.approx((width, ratio * width + above))
    # The tallest of a line decides, and each line for itself.
    assert _size([_panel(8, 8), _panel(16, 8)]) == pytest.approx((2 * width, 2 * width + above))
    two = _size([_panel(8, 8)], [_panel(16, 8), _panel(8, 8)])
    assert two == pytest.approx((2 * width, 3 * width + 2 * above))
    many = _size([_panel(8, 8)] * 7)
    assert many == pytest.approx((6 * width, 2 * square))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"colormap": "cividi"}, "no such colormap. Received: colormap='cividi'"),
        ({"opacity": -0.1}, "between 0 and 1. Received: opacity=-0.1"),
        ({"opacity": 1.1}, "between 0 and 1. Received: opacity=1.1"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments, words):
    with pytest.raises(UsageError) as caught:
        _drawn([_panel(8, 8)], **arguments)
    assert words in str(caught.value)
    for opacity in (0, 1):
        assert _drawn([_panel(8, 8)], opacity=opacity)


def test_pictures_are_called_what_their_files_are(tmp_path):
    """One that has no file has no name."""
    picture = Image.new("RGB", (5, 4), "red")
    picture.save(tmp_path / "a b.png")
    opened = Image.open(tmp_path / "a b.png")
    with open(tmp_path / "a b.png", "rb") as stream:
        sources = [tmp_path / "a b.png", opened, stream, picture, np.zeros((4, 5, 3), np.uint8)]
        photographs = open_pictures(sources)
    assert [photograph.name for photograph in photographs] == ["a b.png"] * 3 + ["", ""]
    assert all(photograph.pixels.shape == (4, 5, 3) for photograph in photographs)
