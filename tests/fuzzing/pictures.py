"""Readers of pictures, animations and videos."""

import functools
import io
import itertools

import numpy as np
from mutating import damaged, damaged_png
from PIL import Image, features
from running import Reader


def _picture(seed=0, size=(24, 17), mode="RGB"):
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (4, 5, 3), np.uint8))
    return small.resize(size).convert(mode)


def _encoded(kind, picture=None, **options):
    file = io.BytesIO()
    (picture or _picture()).save(file, kind, **options)
    return file.getvalue()


def _read_picture(data):
    from kerasvit.images.reading import read

    pixels = read(data)
    assert pixels.dtype == np.uint8, "another type"
    assert pixels.ndim == 3, "no picture"
    assert pixels.shape[2] == 3, "no RGB"
    assert pixels.size, "an empty picture"


def _seeds(kind):
    modes = {
        "PNG": ("RGB", "RGBA", "P", "L", "I;16", "1"),
        "JPEG": ("RGB", "L", "CMYK"),
        "TIFF": ("RGB", "CMYK", "L", "I;16", "F", "LAB", "P"),
        "BMP": ("RGB", "L", "P", "1"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("P", "L"),
        "JPEG2000": ("RGB", "L"),
        "AVIF": ("RGB",),
    }[kind]
    pictures = [
        Image.fromarray(np.arange(408, dtype=np.uint16).reshape(17, 24) * 99)
        if mode == "I;16"
        else _picture(mode="L").convert("F")
        if mode == "F"
        else Image.new("LAB", (24, 17), (90, 20, 60))
        if mode == "LAB"
        else _picture(mode=mode)
        for mode in modes
    ]
    seeds = [_encoded(kind, picture) for picture in pictures]
    exif = Image.Exif()
    exif[0x0112] = 6
    if kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        seeds.append(_encoded(kind, exif=exif))
    if kind == "TIFF":
        packings = ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4")
        grey = _picture(mode="1")
        seeds += [
            _encoded(kind, grey if packing == "group4" else None, compression=packing)
            for packing in packings
        ]
    if kind == "JPEG":
        seeds.append(_encoded(kind, progressive=True))
    return seeds


def _still(kind, folder):
    return Reader(_seeds(kind), damaged_png if kind == "PNG" else damaged, _read_picture)


def _read_video(path, data):
    from kerasvit.render.video.frames import is_video, open_video

    path.write_bytes(data)
    is_video(path)
    with open_video(path) as clip:
        assert clip.rate > 0, "no rate"
        frames = list(itertools.islice(clip.frames, 50))
    assert frames, "no frame"
    assert all(frame.dtype == np.uint8 and frame.shape[2:] == (3,) for frame in frames)
    assert len({frame.shape for frame in frames}) == 1, "frames of several sizes"


def _animation(folder):
    pictures = [_picture(seed) for seed in range(3)]
    options = {"save_all": True, "append_images": pictures[1:], "duration": [40, 30, 90]}
    seeds = [_encoded(kind, pictures[0], **options) for kind in ("GIF", "PNG", "WEBP")]

    def change(draw, seeds):
        seed = draw.choice(seeds)
        return (damaged_png if seed[1:4] == b"PNG" else damaged)(draw, [seed])

    return Reader(seeds, change, functools.partial(_read_video, folder / "x.gif"))


def _video(folder):
    import subprocess

    from kerasvit.render.video.ffmpeg import executable

    seeds = []
    for suffix, codec in (("mp4", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mpeg4")):
        path = folder / f"seed.{suffix}"
        source = ["-f", "lavfi", "-i", "testsrc=size=32x24:rate=5:duration=1"]
        command = [executable(), "-loglevel", "error", *source, "-c:v", codec, str(path)]
        subprocess.run(command, check=True)
        seeds.append(path.read_bytes())
    return Reader(seeds, damaged, functools.partial(_read_video, folder / "x.mp4"))


_KINDS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000")
_KINDS += ("AVIF",) if features.check("avif") else ()
READERS = {kind.lower(): functools.partial(_still, kind) for kind in _KINDS}
READERS |= {"animation": _animation, "video": _video}
