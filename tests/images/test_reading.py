"""Every kind of picture comes out upright, opaque, 8-bit RGB."""

import io
import logging
import os
import struct
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from kerasvit.errors import InputError, UsageError
from kerasvit.images import read

# What a viewer does to the stored picture, in array terms (EXIF 2.32, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def picture(height=23, width=31, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(image, format="PNG", orientation=None, **options):
    stream = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(stream, format, **options)
    return stream.getvalue()


def tiff(values, bits, sample_format=1, photometric=1, order="<"):
    """One uncompressed grey channel, built from the TIFF 6.0 specification."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(data)),
        (339, 3, sample_format),
    ]
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + struct.pack(order + ("HH" if kind == 3 else "I"), *((v, 0) if kind == 3 else (v,)))
        for tag, kind, v in tags
    )
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return magic + struct.pack(order + "I", 8 + len(data)) + data + directory


def grey(values):
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=-1)


# ---- sources ----------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_array(tmp_path):
    expected = picture()
    content = encoded(Image.fromarray(expected))
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with open(path, "rb") as file:
        file.read(7)  # read() starts from the beginning whatever was read before
        sources = [path, str(path), content, bytearray(content), memoryview(content), file]
        sources += [io.BytesIO(content), Image.open(path), expected]
        for source in sources:
            result = read(source)
            np.testing.assert_array_equal(result, expected)
            assert result.dtype == np.uint8
            assert result.flags.writeable
            assert result.flags.c_contiguous
        assert not file.closed


def test_the_result_is_a_copy_of_an_array():
    source = picture()
    read(source)[:] = 0
    np.testing.assert_array_equal(source, picture())


def test_a_pipe_is_read_although_it_cannot_seek():
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writer, content), os.close(writer)))
    content = encoded(Image.fromarray(picture()))
    thread.start()
    with open(reader, "rb") as file:
        np.testing.assert_array_equal(read(file), picture())
    thread.join()


@pytest.mark.parametrize(
    "name",
    ["ünï côdé 猫.png", "-o.png", "שלום.png", "new\nline.png", "a" * 251 + ".png", "[1].png"],
)
def test_any_file_name_opens(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded(Image.fromarray(picture())))
    np.testing.assert_array_equal(read(path), picture())


def test_the_suffix_does_not_matter(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(Image.fromarray(picture())))
    np.testing.assert_array_equal(read(path), picture())


# ---- formats and modes ------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_format_equals_pillow(format):
    image = Image.fromarray(picture())
    content = encoded(image.quantize(64) if format == "GIF" else image, format)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(read(content), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_each_8_bit_mode_equals_pillow(mode):
    image = Image.fromarray(picture())
    image = image.convert("RGBX" if mode == "RGBX" else "RGB").convert(mode)
    np.testing.assert_array_equal(read(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_read(mode):
    result = read(Image.new(mode, (3, 2)))
    assert result.shape == (2, 3, 3)
    assert result.dtype == np.uint8


@pytest.mark.parametrize(("mode", "format"), [("CMYK", "JPEG"), ("LAB", "TIFF"), ("YCbCr", "JPEG")])
def test_colour_spaces_in_files(mode, format):
    colour = Image.new("RGB", (16, 16), (200, 60, 30))
    result = read(encoded(colour.convert(mode), format))
    assert np.abs(result.astype(int) - (200, 60, 30)).max() <= 4


def test_colour_profiles_are_ignored():
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and blue primaries swapped: a profile that shows when it is applied.
    swapped = content.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1)
    swapped = swapped.replace(b"....", b"bXYZ", 1)
    image = Image.fromarray(picture())
    applied = ImageCms.profileToProfile(image, io.BytesIO(swapped), io.BytesIO(content))
    assert np.abs(np.asarray(applied).astype(int) - picture()).max() > 100
    np.testing.assert_array_equal(read(encoded(image, icc_profile=swapped)), picture())


# ---- transparency -----------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "options"), LOSSLESS.items())
def test_alpha_is_composited_on_white(format, options):
    rgba = np.dstack([picture(), np.random.default_rng(1).integers(0, 256, (23, 31), np.uint8)])
    if format == "WEBP":
        options = {**options, "exact": True}  # keeps the colour under alpha = 0
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    result = read(encoded(Image.fromarray(rgba), format, **options))
    assert np.abs(result - expected).max() <= 0.51


def test_full_alpha_changes_nothing_and_none_is_white():
    rgb = picture()
    for alpha, expected in ((255, rgb), (0, np.full_like(rgb, 255))):
        rgba = np.dstack([rgb, np.full(rgb.shape[:2], alpha, np.uint8)])
        np.testing.assert_array_equal(read(rgba), expected)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_every_mode_with_alpha_is_white_where_transparent(mode):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    if mode == "PA":
        image = image.convert("P").convert("PA")
        image.putalpha(0)
    elif mode in ("LA", "La"):
        image = image.convert("LA")
    image = image if image.mode == mode else image.convert(mode)
    assert image.mode == mode
    assert (read(image) == 255).all()


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_white(format):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 2, 2))
    result = read(encoded(image, format, transparency=0))
    assert (result[:, :2] == (0, 0, 255)).all()
    assert (result[:, 2:] == 255).all()


def test_palette_with_partial_alpha():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    result = read(encoded(image, transparency=bytes([51, 255])))
    np.testing.assert_array_equal(result, [[[255, 204, 204], [0, 0, 255]]])


@pytest.mark.parametrize(
    ("mode", "key", "other"),
    [("L", 7, 8), ("RGB", (1, 2, 3), (1, 2, 4)), ("I;16", 40000, 257 * 9)],
)
def test_a_transparent_colour_of_a_png_is_white(mode, key, other):
    image = Image.new(mode, (2, 1), other)
    image.putpixel((0, 0), key)
    result = read(encoded(image, transparency=key))
    assert (result[0, 0] == 255).all()
    assert (result[0, 1] < 10).all()


# ---- more than 8 bits -------------------------------------------------------------------------

RAMP16 = np.arange(0, 65536, 64, np.uint16).reshape(8, -1)
RAMP16[-1, -1] = 65535
DEEP = {
    "png": lambda: encoded(Image.fromarray(RAMP16)),
    "tiff little-endian": lambda: tiff(RAMP16, 16),
    "tiff big-endian": lambda: tiff(RAMP16, 16, order=">"),
    "tiff signed 16": lambda: tiff((RAMP16 // 2).astype(np.int16), 16, 2),
    "tiff unsigned 32": lambda: tiff(RAMP16.astype(np.uint32) * 65537, 32),
    "tiff signed 32": lambda: tiff(
        (RAMP16.astype(np.uint32) * 32768 + 32767).astype(np.int32), 32, 2
    ),
    "tiff float": lambda: tiff((RAMP16 / 65535).astype(np.float32), 32, 3),
    "uint16": lambda: RAMP16,
    "uint32": lambda: RAMP16.astype(np.uint32) * 65537,
    "int16": lambda: (RAMP16 // 2).astype(np.int16),
    "float16": lambda: (RAMP16 / 65535).astype(np.float16),
    "float32": lambda: (RAMP16 / 65535).astype(np.float32),
    "float64": lambda: RAMP16 / 65535,
    "grey, one channel": lambda: RAMP16[..., None],
    "image I;16": lambda: Image.fromarray(RAMP16),
    "image F": lambda: Image.fromarray((RAMP16 / 65535).astype(np.float32)),
}


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_deep_numbers_are_scaled_by_the_range_of_their_type(source):
    result = read(source())
    assert (result == result[..., :1]).all()
    values = result[..., 0].ravel().astype(int)
    assert (np.diff(values) >= 0).all()
    assert values[0] == 0
    assert values[-1] == 255
    assert np.abs(values - RAMP16.ravel() / 257).max() <= 0.6


def test_8_bit_values_survive_a_16_bit_file():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    np.testing.assert_array_equal(read(encoded(Image.fromarray(values * 257))), grey(values))


def test_bool_arrays_are_black_and_white():
    mask = picture()[..., 0] > 99
    np.testing.assert_array_equal(read(mask), grey(mask * 255))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_tiff_whose_white_is_zero_is_inverted(dtype):
    top, bits, kind = (65535, 16, 1) if dtype == np.uint16 else (1.0, 32, 3)
    values = np.array([[0, top]], dtype)
    np.testing.assert_array_equal(read(tiff(values, bits, kind, 0)), grey([[255, 0]]))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_of_16_bit_arrays(channels):
    deep = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint16) * 257
    np.testing.assert_array_equal(read(deep), read((deep // 257).astype(np.uint8)))


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.0, 1.01]]),
        np.array([[-0.01, 0.5]]),
        np.array([[np.nan, 0.5]]),
        np.array([[np.inf, 0.5]]),
        np.array([[-1, 5]], np.int16),
        np.array([[0, 255]], np.int64),
        np.array([[0, 255]], complex),
        np.zeros((3, 0, 3), np.uint8),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_that_are_no_picture_are_refused(array):
    with pytest.raises(InputError, match="Received: "):
        read(array)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[-1, 9]], np.int32), [0, 255]),
        (np.array([[0, 2, 1]], np.float32), [0, 255, 128]),
        (np.array([[-1024, 3071]], np.int16), None),  # Pillow has no mode of it
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 1, 255]], np.uint32), [0, 1, 255]),
        (np.array([[100, 4095, 1200]], np.uint16), [0, 255, 70]),
        (np.array([[7, 7]], np.uint16), [7, 7]),
        (np.array([[700, 700]], np.uint16), [128, 128]),
        (np.array([[0, 0]], np.uint16), [0, 0]),
        (np.array([[0, 65535 // 4 + 1]], np.uint16), [0, 64]),
    ],
)
def test_numbers_that_use_little_of_their_range_or_leave_it_are_scaled_from_their_own(
    values, expected, caplog
):
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    if expected is None:
        return
    result = read(tiff(values, 8 * values.dtype.itemsize, kind))
    assert result[0, :, 0].tolist() == expected
    is_noted = "its numbers" in caplog.text
    flat_or_wide = values.min() == values.max() and values.max() != 7
    assert is_noted != (flat_or_wide or values.max() == 65535 // 4 + 1)


def test_signed_bytes_keep_their_order():
    values = np.array([[-128, 0, 127]], np.int8)
    assert read(tiff(values, 8, 2))[0, :, 0].tolist() == [0, 128, 255]
    assert read(tiff(np.array([[0, 64, 127]], np.int8), 8, 2))[0, :, 0].tolist() == [0, 129, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_file_with_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="1 of 2 NaN or infinite"):
        read(tiff(np.array([[0, value]], np.float32), 32, 3))


def test_an_array_of_few_values_is_scaled_and_one_that_leaves_its_range_is_refused(caplog):
    assert read(np.array([[0, 4095]], np.uint16))[0, :, 0].tolist() == [0, 255]
    assert "from 0 to 4095" in caplog.text
    assert read(np.array([[0, 200]], np.int32))[0, :, 0].tolist() == [0, 200]
    for array in (np.array([[-1, 9]], np.int32), np.array([[0, 2.0]])):
        with pytest.raises(InputError, match="Received: "):
            read(array)


# ---- what is seen on which ground ---------------------------------------------------------------


def logo(colour):
    image = Image.new("RGBA", (8, 6), (*colour, 0))
    image.paste((*colour, 255), (2, 1, 5, 4))
    return image


def test_a_white_logo_is_shown_on_black_and_others_on_white(caplog):
    white = read(logo((255, 255, 255)))
    assert "on black" in caplog.text
    assert white[2, 3].tolist() == [255] * 3
    assert white[0, 0].tolist() == [0] * 3
    caplog.clear()
    for colour in ((0, 0, 0), (255, 0, 0), (200, 200, 200)):
        shown = read(logo(colour))
        assert shown[0, 0].tolist() == [255] * 3
        assert shown[2, 3].tolist() == list(colour)
    assert (read(Image.new("RGBA", (4, 4), (255, 255, 255, 0))) == 255).all()
    assert (read(Image.new("RGBA", (4, 4), (255, 255, 255, 255))) == 255).all()
    assert caplog.text == ""


@pytest.mark.parametrize("mode", ["LA", "PA", "P"])
def test_white_on_transparency_is_seen_in_every_mode(mode):
    image = logo((255, 255, 255))
    converted = image.convert("LA") if mode == "LA" else image.quantize(4)
    shown = (
        read(encoded(converted if mode != "PA" else converted.convert("PA"), "PNG"))
        if (mode != "PA")
        else read(converted.convert("PA"))
    )
    assert shown[2, 3].min() > 240
    assert shown[0, 0].max() < 10


# ---- orientation ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["JPEG", *LOSSLESS])
def test_orientation_is_applied(format, orientation):
    image, options = Image.fromarray(picture()), LOSSLESS.get(format, {})
    stored = read(encoded(image, format, **options))
    turned = read(encoded(image, format, orientation, **options))
    np.testing.assert_array_equal(turned, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_ignored(orientation):
    content = encoded(Image.fromarray(picture()), "PNG", orientation)
    np.testing.assert_array_equal(read(content), picture())


def test_damaged_exif_does_not_cost_the_picture(monkeypatch):
    content = encoded(Image.fromarray(picture()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(read(content), picture())

    def fail(self):
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    np.testing.assert_array_equal(read(encoded(Image.fromarray(picture()))), picture())


def test_orientation_of_a_pil_image_is_applied_and_the_image_is_left_alone():
    image = Image.open(io.BytesIO(encoded(Image.fromarray(picture()), "PNG", 6)))
    np.testing.assert_array_equal(read(image), UPRIGHT[6](picture()))
    assert image.getexif()[0x0112] == 6
    np.testing.assert_array_equal(np.asarray(image), picture())


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F"]),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_mode_size_and_orientation(mode, size, orientation, seed):
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, size, np.uint16))
    elif mode == "F":
        image = Image.fromarray(rng.random(size, np.float32))
    else:
        image = Image.fromarray(rng.integers(0, 256, (*size, 4), np.uint8))
        image = image.convert("RGB" if mode in ("CMYK", "P", "1") else "RGBA").convert(mode)
    upright = read(encoded(image, "TIFF"))
    assert upright.dtype == np.uint8
    assert upright.shape == (*size, 3)
    turned = read(encoded(image, "TIFF", orientation))
    np.testing.assert_array_equal(turned, UPRIGHT[orientation](upright))
    np.testing.assert_array_equal(read(encoded(Image.fromarray(upright))), upright)


# ---- frames -----------------------------------------------------------------------------------

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def animation(format, size=(8, 6)):
    frames = [Image.new("RGB", size, colour) for colour in COLOURS]
    options = {"lossless": True} if format == "WEBP" else {}
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames(format, caplog):
    content = animation(format)
    with caplog.at_level(logging.WARNING, "kerasvit"):
        first = read(content)
    assert len(caplog.records) == 1
    assert "frame" in caplog.text
    assert (first == COLOURS[0]).all()
    caplog.clear()
    for number, colour in enumerate(COLOURS):
        assert (read(content, frame=number) == colour).all()
    assert not caplog.records
    with pytest.raises(InputError, match=r"no frame 3\. Received: 3 frames"):
        read(content, frame=3)


def test_a_still_picture_has_frame_0_only():
    content = encoded(Image.fromarray(picture()))
    np.testing.assert_array_equal(read(content, frame=0), picture())
    with pytest.raises(InputError, match="no frame 1"):
        read(content, frame=1)


def test_the_frame_of_a_pil_image_stays_as_it_was():
    image = Image.open(io.BytesIO(animation("GIF")))
    image.seek(1)
    assert (read(image) == COLOURS[1]).all()
    assert (read(image, frame=2) == COLOURS[2]).all()
    assert image.tell() == 1


def test_the_extra_pictures_of_a_camera_need_no_note(caplog):
    frames = [Image.new("RGB", (8, 8), colour) for colour in COLOURS]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert np.abs(read(content).astype(int) - COLOURS[0]).max() <= 3
    assert not caplog.records


# ---- arguments and side effects ---------------------------------------------------------------


@pytest.mark.parametrize("source", [None, 0, 1.5, ["a.png"], io.StringIO("text")])
def test_a_source_of_another_type_is_a_usage_error(source):
    with pytest.raises(UsageError, match="Received: "):
        read(source)


@pytest.mark.parametrize("arguments", [{"max_pixels": 0}, {"max_pixels": 1.5}, {"frame": -1}])
def test_arguments_out_of_range(arguments):
    with pytest.raises(UsageError, match="Received: "):
        read(picture(), **arguments)


def test_no_global_of_pillow_or_of_warnings_changes():
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    read(encoded(Image.fromarray(picture())))
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before
