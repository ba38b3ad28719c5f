"""What a file may ask of its decoder: exactly as much as a limit passes, one more does not."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images import limits
from kerasvit.images.colours import array_to_rgb, image_to_rgb, is_lost_on_white
from kerasvit.images.limits import check_frame, check_jpeg2000, check_tiff
from kerasvit.images.notes import collecting
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.images.reading import MAX_PIXELS


def _tiff(pages, order="<", big=False):
    """A TIFF of pages of tags `(tag, type, count)`, whose values are not there."""
    count, entry, offset = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    head = {"<": b"II", ">": b"MM"}[order]
    head += struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    body = b""
    for number, tags in enumerate(pages):
        page = struct.pack(order + count, len(tags))
        page += b"".join(struct.pack(order + entry, *tag, b"") for tag in tags)
        following = len(head) + len(body) + len(page) + struct.calcsize(order + offset)
        is_last = number == len(pages) - 1
        body += page + struct.pack(order + offset, 0 if is_last else following)
    return head + body


KINDS = [("<", False), (">", False), ("<", True), (">", True)]


def _check(content, page=0):
    stream = io.BytesIO(content)
    try:
        check_tiff(stream, "'x.tif'", page)
    finally:
        assert stream.tell() == 0


@pytest.mark.parametrize(("order", "big"), KINDS)
@pytest.mark.parametrize("tag", [273, 324])
def test_pieces_of_a_page(order, big, tag):
    """Strips, or tiles, of the page that is wanted and of those before it."""
    room = b"\0" * limits.MAX_PIECES
    pages = [[(256, 3, 1), (tag, 4, limits.MAX_PIECES), (257, 3, 1)]] * 2
    _check(_tiff(pages, order, big) + room, page=1)
    for wrong in range(2):
        asked = [*pages]
        asked[wrong] = [(tag, 4, limits.MAX_PIECES + 1), (256, 3, 1)]
        with pytest.raises(
            InputError, match=rf"up to {limits.MAX_PIECES} strips.*{limits.MAX_PIECES + 1}\."
        ):
            _check(_tiff(asked, order, big) + room, page=1)
        # A page behind the one that is wanted is never opened.
        _check(_tiff([pages[0], asked[1]], order, big) + room, page=0)


@pytest.mark.parametrize(("order", "big"), KINDS)
def test_tags_of_a_page(order, big, monkeypatch):
    monkeypatch.setattr(limits, "_MAX_TAGS", 3)
    _check(_tiff([[(256, 3, 1)] * 3], order, big))
    with pytest.raises(InputError, match=r"up to 3 tags\. Received: 4\."):
        _check(_tiff([[(256, 3, 1)] * 4], order, big))


# TIFF 6.0, page 15: BYTE, ASCII, SHORT, LONG, RATIONAL and their signed kin; BigTIFF: LONG8.
BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    99: 1,
}


@pytest.mark.parametrize(("kind", "size"), BYTES.items())
def test_bytes_that_tags_claim(kind, size):
    """Four times the file at most, whatever type they are of."""
    length = len(_tiff([[(700, kind, 1)]])) + 8
    content = _tiff([[(700, kind, 4 * length // size)]]).ljust(length, b"\0")
    _check(content)
    more = _tiff([[(700, kind, 4 * length // size + 1)]]).ljust(length, b"\0")
    with pytest.raises(
        InputError, match=rf"claim {4 * length // size * size + size} bytes.*{length} bytes"
    ):
        _check(more)


@pytest.mark.parametrize(("order", "big"), KINDS)
def test_pages(order, big, monkeypatch):
    content = _tiff([[(256, 3, 1)]] * 3, order, big)
    for page in range(3):
        _check(content, page)
    with pytest.raises(InputError, match=r"no frame 3\. Received: 3 frames"):
        _check(content, 3)
    monkeypatch.setattr(limits, "MAX_PAGES", 2)
    _check(content, 1)
    with pytest.raises(InputError, match=r"up to page 1\. Received: frame=2"):
        _check(content, 2)


def test_what_is_no_whole_tiff_is_left_to_its_decoder():
    content = _tiff([[(256, 3, 1)]])
    for cut in range(len(content)):
        _check(content[:cut])
    _check(b"II" + struct.pack("<HI", 44, 8) + bytes(100))
    _check(b"II" + struct.pack("<HI", 42, 10**6) + bytes(100))
    _check(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_frames_on_the_way(monkeypatch):
    check_frame("'x.gif'", (10**4, 10**4), 39)
    with pytest.raises(InputError, match="frame=40 of 10000 x 10000 pixels"):
        check_frame("'x.gif'", (10**4, 10**4), 40)
    check_frame("'x.gif'", (1, 1), limits.MAX_PAGES - 1)
    with pytest.raises(InputError, match=f"frame={limits.MAX_PAGES} of"):
        check_frame("'x.gif'", (1, 1), limits.MAX_PAGES)
    assert limits.MAX_FRAME_PIXELS == 4 * 10**9
    assert limits.MAX_MOVING_PIXELS >= 7680 * 4320


def _box(kind, content, form="short"):
    if form == "open":
        return struct.pack(">I4s", 0, kind) + content
    if form == "long":
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


@pytest.mark.parametrize("form", ["short", "long", "open", "bare"])
def test_a_jpeg_2000_is_whole_or_not(form):
    """Its code alone, or in a box whose length is said in either way, or lasts to the end."""
    code = b"\xff\x4f\xff\x51" + random.Random(0).randbytes(60).replace(b"\xff", b"") + b"\xff\xd9"
    before = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jp2 " + bytes(8), "long")
    content = code if form == "bare" else before + _box(b"jp2c", code, form)
    wholes = (
        [content, content + _box(b"uuid", bytes(9))] if form in ("short", "long") else [content]
    )
    for whole in wholes:
        stream = io.BytesIO(whole)
        check_jpeg2000(stream, "'x.jp2'")
        assert stream.tell() == 0
    for cut in range(len(content)):
        with pytest.raises(InputError, match="cut off"):
            check_jpeg2000(io.BytesIO(content[:cut]), "'x.jp2'")


@pytest.mark.parametrize(("shade", "is_lost"), [(255, True), (240, True), (239, False), (0, False)])
def test_what_is_nearly_white_is_lost_on_white(shade, is_lost):
    logo = np.full((4, 5, 4), (255, 255, 255, 0), np.uint8)
    logo[1, 2] = (shade, 255, 255, 255)
    assert is_lost_on_white(Image.fromarray(logo)) is is_lost
    with collecting() as notes:
        pixels = image_to_rgb(Image.fromarray(logo), "'x.png'")
    assert pixels[0, 0].tolist() == [0 if is_lost else 255] * 3
    assert len(notes) == is_lost


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32"])
def test_whole_ranges_of_integers(dtype):
    """0 is black, the largest value white, the middle grey; a quarter of the range is its use."""
    top = np.iinfo(dtype).max
    shades = np.array([[0, top // 2, top]], dtype)
    np.testing.assert_allclose(array_to_rgb(shades)[0, :, 0], [0, 127, 255], atol=1)
    assert array_to_rgb(shades)[0, :, 0].tolist()[::2] == [0, 255]
    with collecting() as notes:
        array_to_rgb(np.array([[0, top // 4 + 1]], dtype))
    assert not notes
    for wrong in ("uint64", "int64", "complex64"):
        with pytest.raises(InputError, match=f"Received: dtype={wrong}"):
            array_to_rgb(shades.astype(wrong))


@pytest.mark.parametrize("top", [1000, 40_000])
def test_a_range_of_their_own(top):
    """Numbers above bytes and below a quarter of the type's range go from black to white."""
    values = np.array([[500, 600, top // 2, top]], np.uint32)
    with collecting() as notes:
        shades = array_to_rgb(values)[0, :, 0]
    expected = np.rint((values[0] - 500.0) / (top - 500.0) * 255)
    np.testing.assert_array_equal(shades, expected)
    assert f"from 500 to {top:g}" in str(notes)
    flat = array_to_rgb(np.full((2, 2), 300, np.uint16))
    assert (flat == 128).all()
    assert (array_to_rgb(np.zeros((2, 2), np.uint16)) == 0).all()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4)])
def test_shapes_of_pictures(shape):
    assert array_to_rgb(np.full(shape, 7, np.uint8)).shape == (4, 5, 3)
    for wrong in ((*shape[:2], 5), (*shape[:2], 0), (0, 5), (5,), (1, 4, 5, 3)):
        with pytest.raises(InputError, match="Received: shape="):
            array_to_rgb(np.zeros(wrong, np.uint8))


GOOD = {"image_size": (8, 12), "mean": (0.5, 0.25, 0.75), "std": (0.1, 0.2, 0.3)}


def test_what_a_preprocessing_is_without_more():
    """timm's own usual: the middle seven eighths, bicubic."""
    usual = Preprocessing(**GOOD)
    assert (usual.crop_fraction, usual.crop_mode, usual.interpolation) == (
        0.875,
        "center",
        "bicubic",
    )
    assert Preprocessing.from_dict(usual.to_dict()) == usual
    whole = Preprocessing((1, MAX_PIXELS), crop_fraction=1, mean=(0,), std=(1e-9,))
    assert whole.to_dict()["mean"] == [0.0]


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "image_size": [(0, 4), (8,), (8, 8, 8), 8, (1.5, 8), (1, MAX_PIXELS + 1), "8"],
        "crop_fraction": [0, -0.1, 1.01, float("nan"), "1", None],
        "crop_mode": ["middle", None, 1],
        "interpolation": ["cubic", None, 3],
        "mean": [(), (0.5, 0.5), (0.5,) * 4, 0.5, ("a",) * 3, (float("inf"),) * 3],
        "std": [(), (0.5, 0.5), (0.0, 1, 1), (0,), (-1, 1, 1), (float("nan"),) * 3],
    }.items(),
)
def test_what_no_preprocessing_holds(name, values):
    for value in values:
        with pytest.raises(UsageError, match=rf"Preprocessing: {name} must be .*Received: {name}="):
            Preprocessing(**{**GOOD, name: value})
    record = Preprocessing(**GOOD).to_dict()
    del record[name]
    with pytest.raises(UsageError, match=rf"missing keys \['{name}'\], unknown keys \['more'\]"):
        Preprocessing.from_dict({**record, "more": 1})
