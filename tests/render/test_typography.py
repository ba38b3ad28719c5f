import pytest
from PIL import Image, ImageDraw

from kerasvit.render.typography import font, shorten, write


@pytest.mark.parametrize("width", [0, 10, 57, 200, 10_000])
@pytest.mark.parametrize(
    "text", ["", "cat", "a very long name, of a thing", "Очень длинное имя", "m" * 500]
)
def test_a_text_never_gets_wider_than_its_room(text, width):
    face = font(20)
    short = shorten(text, width, face)
    assert face.getlength(short) <= max(width, face.getlength("…"))
    assert short == text or short.endswith("…")
    if short != text:
        # One letter more would not have fitted.
        longer = text[: len(short)].rstrip() + "…"
        assert longer == short or face.getlength(longer) > width


def test_line_breaks_become_spaces():
    assert shorten("two\n lines", 1000, font(20)) == "two lines"


def test_nothing_is_drawn_beyond_the_room():
    picture = Image.new("RGB", (300, 40), "white")
    end = write(ImageDraw.Draw(picture), (10, 30), "a name too long for its room", 100, 20)
    box = picture.convert("L").point(lambda level: 255 - level).getbbox()
    assert box[0] >= 10
    assert box[2] <= 111
    assert end <= 110
