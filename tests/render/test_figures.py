"""Pages of marks as pixels of any number, and as PDF and SVG that a program can read."""

import re
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import OutputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render import saliency_sheet
from kerasvit.render.drawing import UNITS_AN_INCH, Drawing
from kerasvit.render.figures import FIGURE_FORMATS, check_dpi, write_figure, write_picture
from kerasvit.render.look import Look
from kerasvit.render.standard import saliency_drawing

RED, BLUE = (250, 20, 10), (5, 30, 240)


def page():
    """A page of 500x250 units: blue on the left, a picture of red over green on the right."""
    drawing = Drawing(500, 250)
    drawing.fill((0, 0, 100, 250), BLUE)
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:10] = RED
    drawing.place(picture, (300, 50, 500, 150))
    drawing.write((120, 40), "seen $x_1$ & <b>", 170, 20)
    return drawing


@pytest.mark.parametrize("resolution", [0.4, 1, 1.7, 3])
def test_marks_lie_where_they_belong_at_any_resolution(resolution):
    pixels = np.asarray(page().image(resolution))
    assert pixels.shape[:2] == (round(250 * resolution), round(500 * resolution))

    def at(x, y):
        return tuple(pixels[int(y * resolution), int(x * resolution)])

    assert at(3, 3) == at(95, 245) == BLUE
    assert at(110, 200) == (255, 255, 255)
    assert at(310, 60) == at(490, 90) == RED
    assert at(310, 145) == (0, 0, 0)


@pytest.mark.parametrize("dpi", [100, 250, 300])
def test_a_png_is_as_large_on_paper_whatever_its_dots(tmp_path, dpi):
    file = tmp_path / "page.png"
    write_figure(file, page(), "png", dpi=dpi)
    with Image.open(file) as picture:
        assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)
        assert picture.width / dpi == pytest.approx(2, rel=0.01)
        assert picture.height / dpi == pytest.approx(1, rel=0.01)


def pdf_streams(data):
    """Return the unpacked streams of a PDF, one after the other."""
    parts = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S)
    unpacked = []
    for part in parts:
        try:
            unpacked.append(zlib.decompress(part))
        except zlib.error:
            unpacked.append(part)
    return unpacked


def test_a_pdf_has_its_size_its_text_as_text_and_the_pictures_own_pixels(tmp_path):
    file = tmp_path / "page.pdf"
    write_figure(file, page(), "pdf", title="A page")
    data = file.read_bytes()
    box = [float(number) for number in re.search(rb"/MediaBox \[([^]]*)\]", data)[1].split()]
    assert box == pytest.approx([0, 0, 144, 72])
    # 40x20 pixels, as they were given: nothing is resampled.
    assert b"/Width 40" in data
    assert b"/Height 20" in data
    assert b"/FontFile2" in data
    assert any(b"Tj" in stream or b"TJ" in stream for stream in pdf_streams(data))
    assert b"CreationDate" not in data


def test_an_svg_has_its_size_and_its_title(tmp_path):
    import xml.etree.ElementTree as ElementTree

    file = tmp_path / "page.svg"
    write_figure(file, page(), "svg", title="A & B")
    root = ElementTree.parse(file).getroot()
    assert (root.get("width"), root.get("height")) == ("144pt", "72pt")
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "A & B"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 1


@pytest.mark.parametrize("kind", FIGURE_FORMATS)
def test_equal_pages_give_equal_bytes_and_no_file_is_replaced_unasked(tmp_path, kind):
    files = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for file in files:
        write_figure(file, page(), kind)
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(OutputError, match="exists"):
        write_figure(files[0], page(), kind)
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{kind}", f"b.{kind}"}


def test_a_picture_keeps_its_pixels_and_is_printed_so_large(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (30, 60, 3), dtype=np.uint8)
    write_picture(tmp_path / "a.png", picture, "png", dpi=60)
    write_picture(tmp_path / "a.pdf", picture, "pdf", dpi=60)
    with Image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), picture)
        assert read.info["dpi"] == pytest.approx((60, 60), abs=0.02)
    box = re.search(rb"/MediaBox \[([^]]*)\]", (tmp_path / "a.pdf").read_bytes())[1].split()
    assert [float(number) for number in box] == pytest.approx([0, 0, 72, 36])


def test_names_in_any_letters_are_written_without_a_word(tmp_path, recwarn):
    drawing = Drawing(300, 60)
    drawing.write((0, 40), "猫 🐈 кошка", 300, 20)
    for kind in FIGURE_FORMATS:
        write_figure(tmp_path / f"page.{kind}", drawing, kind, title="猫")
    assert not recwarn.list


@pytest.mark.parametrize("dpi", [0, -3, 29, 1201, float("nan"), float("inf"), "300", True, None])
def test_impossible_dots_an_inch_are_refused(dpi):
    with pytest.raises(UsageError, match=r"between 30 and 1200\. Received: dpi="):
        check_dpi(dpi)


def test_a_sheet_of_twice_the_dots_is_the_sheet_with_finer_panels():
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (60, 100, 3), dtype=np.uint8)
    maps = random.random((4, 3, 5), np.float32)
    geometry = Geometry((60, 100), (0, 0, 60, 100), (48, 80))
    given = image, {"ca_ffn_block_00_att": maps}, maps[0], geometry
    usual = saliency_sheet(*given, title="A title")
    drawn = {
        resolution: saliency_drawing(*given, look=Look(), title="A title", resolution=resolution)
        for resolution in (1.0, 2.0)
    }
    np.testing.assert_array_equal(np.asarray(drawn[1.0].image()), np.asarray(usual))
    fine = drawn[2.0].image(2.0)
    assert abs(fine.width - 2 * usual.width) <= 4
    assert abs(fine.height - 2 * usual.height) <= 8
    shrunk = np.asarray(fine.resize(usual.size, Image.Resampling.BOX), float)
    assert np.abs(shrunk - np.asarray(usual, float)).mean() < 4
    assert usual.width == UNITS_AN_INCH * 7.04
