"""The rows of the fault table that concern reading: one line, exit code 3, no harm done."""

import io
import resource
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from kerasvit.errors import InputError
from kerasvit.images import read


def refusal(source, **options):
    """Return the message of the refusal, after checking what all of them promise."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.exit_code == 3
    return message


def pixels_or_message(source, **options):
    try:
        return read(source, **options)
    except InputError as error:
        return str(error)


def encoded(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def gradient():
    rows, columns = np.mgrid[:24, :32]
    return Image.fromarray(
        np.stack([rows * 10, columns * 7, rows * columns % 256], -1).astype(np.uint8)
    )


# ---- not a picture ----------------------------------------------------------------------------

NO_PICTURES = {
    "empty": (b"", "is empty"),
    "text": (b"a shopping list\n", "not a picture"),
    "html": (b"\n<!DOCTYPE html><html>404</html>", "HTML"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
    "svg behind a comment": (b"<?xml version='1.0'?><!-- x -->\n<svg >", "which has no pixels"),
    "pdf": (b"%PDF-1.7\n", "PDF document"),
    "zip": (b"PK\x03\x04" + bytes(40), "Unpack it"),
    "video": (bytes([0, 0, 0, 24]) + b"ftypisom" + bytes(40), "MP4 or QuickTime video"),
    "matroska": (b"\x1aE\xdf\xa3" + bytes(40), "WebM video"),
    "dicom": (bytes(128) + b"DICM" + bytes(40), "DICOM"),
    "list": (b"#EXTM3U\n", "list of other files"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
    "zeros": (bytes(5000), "not a picture"),
    "header only": (b"\xff\xd8\xff", "header is damaged"),
}


@pytest.mark.parametrize("case", NO_PICTURES)
def test_no_picture(tmp_path, case):
    content, says = NO_PICTURES[case]
    path = tmp_path / "it's\na file.jpg"
    path.write_bytes(content)
    message = refusal(path)
    assert says in message
    assert repr(str(path)) in message
    assert says in refusal(content)


@pytest.mark.parametrize("name", ["missing.png", "missing/a.png", "a" * 300 + ".png", "nul\0.png"])
def test_no_file(tmp_path, name):
    path = str(tmp_path / name)
    assert repr(path) in refusal(path)


def test_a_file_as_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert "NotADirectoryError" in refusal(tmp_path / "file" / "a.png")


def test_a_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


FOREIGN = {
    "PPM": b"P6 1 1 255 \x01\x02\x03",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "FITS": b"SIMPLE  =                    T".ljust(2880),
    "PSD": b"8BPS\0\1".ljust(100, b"\0"),
}


@pytest.mark.parametrize("format", FOREIGN)
def test_other_formats_never_reach_their_decoder(format, monkeypatch):
    def decoder(*_):
        raise AssertionError("reached")

    Image.init()
    monkeypatch.setitem(Image.OPEN, format, (decoder, Image.OPEN[format][1]))
    assert "not a picture" in refusal(FOREIGN[format]).replace("which is not read", "not a picture")


@pytest.mark.parametrize("format", ["ICO", "TGA", "PPM", "PCX"])
def test_formats_that_pillow_writes_but_we_do_not_read(format):
    assert "PNG" in refusal(encoded(gradient(), format))


# ---- cut off ----------------------------------------------------------------------------------

WHOLE = {
    "JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "JPEG 2000": ("JPEG2000", {}),
    "AVIF": ("AVIF", {}),
    "TIFF": ("TIFF", {}),
    "LZW TIFF": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # refused, and Pillow comments on it
@pytest.mark.parametrize(("format", "options"), WHOLE.values(), ids=WHOLE)
def test_a_file_cut_anywhere_is_refused_or_whole(format, options):
    """Whole: what was cut off was no pixel, such as the end marker of a PNG."""
    content = encoded(gradient(), format, **options)
    expected, refused = read(content), 0
    for length in range(len(content)):
        result = pixels_or_message(content[:length])
        if isinstance(result, str):
            assert "\n" not in result
            refused += 1
        else:
            np.testing.assert_array_equal(result, expected)
    assert refused >= len(content) - 30


def test_half_a_photograph_names_the_file(tmp_path):
    path = tmp_path / "half.jpg"
    content = encoded(gradient().resize((640, 480)), "JPEG")
    path.write_bytes(content[: len(content) // 2])
    assert repr(str(path)) in refusal(path)
    assert "truncated" in refusal(path)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(("format", "options"), WHOLE.values(), ids=WHOLE)
def test_random_damage_raises_nothing_else(format, options):
    content, rng = encoded(gradient(), format, **options), np.random.default_rng(0)
    for _ in range(300):
        damaged = np.frombuffer(content, np.uint8).copy()
        where = rng.integers(0, len(content) if rng.random() < 0.5 else 64, rng.integers(1, 9))
        damaged[where] = rng.integers(0, 256, len(where))
        result = pixels_or_message(damaged.tobytes(), max_pixels=10_000)
        assert "\n" not in result if isinstance(result, str) else result.shape[2] == 3


# ---- bombs ------------------------------------------------------------------------------------


def png(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def with_size(format, offset, layout, width, height):
    content = bytearray(encoded(gradient(), format))
    struct.pack_into(layout, content, offset, width, height)
    return bytes(content)


def jpeg(width, height):
    content = encoded(gradient(), "JPEG")
    start = content.index(b"\xff\xc0") + 5  # frame header: length 2, precision 1, height, width
    return content[:start] + struct.pack(">HH", height, width) + content[start + 4 :]


def webp(width, height):
    head = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"VP8L" + struct.pack("<I", 20) + b"\x2f" + head + bytes(15)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


BOMBS = {
    "JPEG": jpeg(65535, 65535),
    "JPEG, between the limits": jpeg(10_000, 10_000),
    "PNG": png(65535, 65535),
    "PNG, long": png(2**31 - 1, 1),
    "PNG, between the limits": png(10_000, 10_000),
    "PNG, no height": png(5, 0),
    "PNG, no width": png(0, 5),
    "JPEG, no height": jpeg(5, 0),
    "GIF": with_size("GIF", 6, "<HH", 65535, 65535),
    "BMP": with_size("BMP", 18, "<II", 65535, 65535),
    "WebP": webp(16383, 16383),
    "WebP, between the limits": webp(10_000, 10_000),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_from_the_header(content, monkeypatch):
    def decode(*_):
        raise AssertionError("reached")

    refusal(content)  # imports what Pillow loads late
    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(content)
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * unit
    assert grown < 50e6


def test_the_limit_is_a_number_of_pixels():
    content = encoded(gradient(), "PNG")
    assert read(content, max_pixels=24 * 32).shape == (24, 32, 3)
    message = refusal(content, max_pixels=24 * 32 - 1)
    assert "32 x 24 = 768 pixels" in message
    assert "767" in message


def test_a_later_page_is_measured_too():
    pages = [Image.new("L", (2, 2)), Image.new("L", (50, 50))]
    content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert read(content, max_pixels=100, frame=0).shape == (2, 2, 3)
    assert "2500 pixels" in refusal(content, max_pixels=100, frame=1)


def test_a_lazy_pil_image_is_measured_too():
    assert "768 pixels" in refusal(Image.open(io.BytesIO(encoded(gradient(), "PNG"))), max_pixels=9)


# ---- what the package needs -------------------------------------------------------------------


def test_the_package_reads_without_torch_timm_matplotlib_and_skimage():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch','timm','matplotlib','skimage']));"
        "sys.modules['kerasvit'] = k = type(sys)('kerasvit'); k.__path__ = [sys.argv[1]];"
        "import kerasvit.images as i, numpy; assert i.read(numpy.ones((2, 2))).shape == (2, 2, 3);"
        "assert 'keras' not in sys.modules"
    )
    folder = sys.modules["kerasvit"].__path__[0]
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=60)
