"""Formats beside the usual six: HEIC, AVIF, JPEG 2000, MPO; and what animations may ask for."""

import io
import struct
import sys
import time

import numpy as np
import pytest
from PIL import Image, features

from kerasvit.errors import InputError
from kerasvit.images import read
from kerasvit.images.kinds import modern_format
from kerasvit.images.notes import collecting


def picture(height=24, width=36):
    rows, columns = np.mgrid[:height, :width]
    colours = np.stack([rows * 250 // height, columns * 250 // width, 0 * rows + 90], -1)
    return Image.fromarray(colours.astype(np.uint8))


def encoded(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def one_line(source, **options):
    with pytest.raises(InputError) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def heif():
    package = pytest.importorskip("pillow_heif", reason="needs pillow-heif, the extra heif")
    package.register_heif_opener(thumbnails=False)
    return lambda image, **options: encoded(image, "HEIF", quality=95, **options)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif.tobytes()}


def test_heic_is_read_upright(heif, tmp_path):
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(heif(picture()))
    assert np.abs(read(path).astype(int) - np.asarray(picture())).mean() < 6
    plain = read(heif(picture()))
    for orientation, turns in ((3, 2), (6, 3), (8, 1)):
        shown = read(heif(picture(), **turned(orientation)))
        assert np.abs(shown.astype(int) - np.rot90(plain, turns)).mean() < 4, orientation


def test_heic_without_its_package_names_the_extra(heif, monkeypatch):
    content = heif(picture())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    message = one_line(content)
    assert 'pip install "kerasvit[heif]"' in message
    assert "HEIF" in message


def test_heic_that_is_cut_off_or_too_large_is_refused(heif):
    content = heif(picture())
    assert "is refused before decoding" in one_line(content, max_pixels=100)
    for share in (0.3, 0.6, 0.9):
        one_line(content[: int(len(content) * share)])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read_upright_or_names_what_reads_it(monkeypatch):
    content = encoded(picture(), "AVIF", quality=95)
    plain = read(content)
    assert np.abs(plain.astype(int) - np.asarray(picture())).mean() < 6
    for orientation, turns in ((3, 2), (6, 3), (8, 1)):
        shown = read(encoded(picture(), "AVIF", quality=95, **turned(orientation)))
        assert np.abs(shown.astype(int) - np.rot90(plain, turns)).mean() < 4, orientation
    monkeypatch.setattr(features, "check", lambda name: False)
    assert "of the format AVIF, which Pillow's own wheels read" in one_line(content)
    assert "a Pillow without AVIF" in one_line(content)
    assert "pip install --upgrade --force-reinstall pillow" in one_line(content)


def test_brands_tell_pictures_from_videos():
    def ftyp(*brands):
        return (
            struct.pack(">I", 16 + 4 * len(brands))
            + b"ftyp"
            + brands[0]
            + bytes(4)
            + b"".join(brands)
        )

    assert modern_format(ftyp(b"mif1", b"avif")) == "AVIF"
    assert modern_format(ftyp(b"mif1", b"heic")) == "HEIF"
    assert modern_format(ftyp(b"isom", b"mp42")) is None
    assert modern_format(b"") is None
    assert modern_format(b"\0\0\0\x0cftyp") is None


@pytest.mark.parametrize("options", [{}, {"irreversible": False, "no_jp2": True}])
def test_jpeg_2000_is_read(options):
    np.testing.assert_array_equal(read(encoded(picture(), "JPEG2000", **options)), picture())


def test_the_first_picture_of_an_mpo_is_read_without_a_note(caplog):
    content = encoded(picture(), "MPO", save_all=True, append_images=[picture(8, 8)])
    assert read(content).shape == (24, 36, 3)
    assert caplog.text == ""
    assert read(content, frame=1).shape == (8, 8, 3)


# ---- what asks for too much ---------------------------------------------------------------------


def tiff(pages=1, strips=1, overlapping=0):
    """A grey TIFF of 1x1 pixels a page, whose pages name so many strips of one byte."""
    tags = 9 + overlapping
    length = 2 + 12 * tags + 4
    data = 8 + pages * length
    parts = [b"II*\0" + struct.pack("<I", 8)]
    for page in range(pages):
        entries = [(256, 3, 1, 1), (257, 3, 1, strips), (258, 3, 1, 8), (259, 3, 1, 1)]
        entries += [(262, 3, 1, 1), (273, 4, strips, data), (277, 3, 1, 1), (278, 3, 1, 1)]
        entries += [(279, 4, strips, data if strips > 1 else 1)]
        entries += [(60_000 + tag, 1, 4 * strips, data) for tag in range(overlapping)]
        parts.append(struct.pack("<H", tags))
        parts += [struct.pack("<HHII", *entry) for entry in entries]
        parts.append(struct.pack("<I", 8 + (page + 1) * length if page < pages - 1 else 0))
    return b"".join(parts) + struct.pack("<I", data) * strips + bytes(64)


def quickly(source, **options):
    started = time.process_time()
    message = one_line(source, **options)
    assert time.process_time() - started < 1
    return message


def test_a_tiff_of_too_many_strips_is_refused_at_once():
    assert "2000000" in quickly(tiff(strips=2_000_000))
    stream = io.BytesIO()
    Image.new("L", (8, 3000)).save(stream, "TIFF", tiffinfo={278: 1})
    assert read(stream).shape == (3000, 8, 3)


def test_a_page_far_behind_is_refused_at_once_and_one_that_is_missing_named():
    content = tiff(pages=100_000)
    assert "page 9999" in quickly(content, frame=99_999)
    assert read(content, frame=3).shape == (1, 1, 3)
    assert read(content).shape == (1, 1, 3)
    assert "5 frames" in one_line(tiff(pages=5), frame=5)
    assert read(tiff(pages=5), frame=4).shape == (1, 1, 3)


def test_tags_that_share_their_bytes_are_refused_at_once():
    """4,000 tags of 400 kB each from a file of 450 kB would fill a gigabyte."""
    assert "claim" in quickly(tiff(strips=30_000, overlapping=4_000))


def gif(frames, size=(1, 1)):
    first = encoded(Image.new("P", size), "GIF")
    start = first.index(b",")
    return first[:start] + first[start:-1] * frames + b";"


def apng(frames, size=(2, 2)):
    images = [Image.new("L", size, shade) for shade in range(frames)]
    return encoded(images[0], "PNG", save_all=True, append_images=images[1:])


def test_a_frame_that_is_far_behind_is_refused_at_once():
    content = gif(100_000)
    assert "frame=99999" in quickly(content, frame=99_999)
    assert read(content, frame=20).shape == (1, 1, 3)
    assert read(content).shape == (1, 1, 3)
    assert "7 frames" in one_line(gif(7), frame=9)
    large = gif(2, (9000, 9000))
    assert "frame=500" in quickly(large, frame=500)
    assert "3 frames" in one_line(apng(3), frame=3)
    assert read(apng(3), frame=2).max() == 2


def test_notes_go_to_whoever_asks_and_nobody_else():
    with collecting() as first:
        read(gif(3))
        with collecting() as second:
            read(np.array([[0, 4095]], np.uint16))
    assert len(first) == len(second) == 1
    assert "several pictures" in first[0]
    assert "4095" in second[0]
