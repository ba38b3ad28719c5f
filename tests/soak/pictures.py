"""`kerasvit saliency -r` over many thousand pictures of all kinds, some of them bad."""

import io
import json
import pathlib
import random
import subprocess
import sys

import numpy as np
from PIL import Image
from watching import Memory, check

_BAD_SHARE = 0.05
_A_FOLDER = 200
_EXIF = 0x0112


def soak(folder, count, seed):
    """Draw them all; yield what to say of it."""
    model, inputs, out = folder / "model.keras", folder / "pictures", folder / "out"
    write_model(model)
    bad = write_pictures(inputs, count, seed)
    yield f"{count} pictures, {len(bad)} of them bad"
    arguments = ["-m", str(model), "-o", str(out), "-r", str(inputs), "--format", "png,npz"]
    arguments += ["--method", "attention", "--dpi", "40"]
    command = [sys.executable, "-m", "kerasvit", "saliency", *arguments]
    journal = out / "manifest.json.part"
    with (folder / "messages").open("w") as messages:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        with Memory(process.pid, lambda: _lines(journal) / count) as memory:
            code = process.wait()
    lines = (folder / "messages").read_text().splitlines()
    check(code == (3 if bad else 0), f"exit code {code}; {lines[-1:]}")
    yield _counted(out, inputs, count, bad, lines)
    yield memory.report()


def _lines(journal):
    """Return how many pictures a run has noted."""
    try:
        with journal.open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)
    except FileNotFoundError:
        return 0


def _counted(out, inputs, count, bad, messages):
    """Compare what was said and written with what was given."""
    manifest = json.loads((out / "manifest.json").read_text())
    entries = {pathlib.Path(entry["file"]).resolve(): entry for entry in manifest["pictures"]}
    check(len(manifest["pictures"]) == len(entries) == count, f"{len(entries)} entries")
    failed = {path for path, entry in entries.items() if "error" in entry}
    check(failed == bad, f"other pictures failed: {sorted(failed ^ bad)[:3]}")
    named = {path for path in bad if any(path.name in line for line in messages)}
    check(named == bad, f"unnamed: {sorted(bad - named)[:3]}")
    promised = {out / name for entry in entries.values() for name in entry.get("outputs", ())}
    there = {path for path in out.rglob("*") if path.is_file()} - {out / "manifest.json"}
    check(promised == there, f"{len(promised)} files promised, {len(there)} there")
    for path in there:
        _check_whole(path)
    check(not list(inputs.rglob(".kerasvit*")), "something lies beside the pictures")
    good = count - len(bad)
    return f"{good} drawn into {len(there)} whole files, {len(bad)} refused, each in a line"


def _check_whole(path):
    if path.suffix == ".png":
        Image.open(path).load()
    else:
        with np.load(path) as arrays:
            numbers = [arrays[name] for name in arrays.files if arrays[name].dtype.kind in "fiu"]
            check(all(np.isfinite(array).all() for array in numbers), str(path))


def write_model(path):
    """Write a tiny model with classes."""
    import kerasvit
    from kerasvit.images.preprocessing import Preprocessing

    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((32, 32), crop_fraction=1.0, mean=half, std=half)
    record = {"preprocessing": preprocessing.to_dict(), "class_names": ["ant", "bee", "cat"]}
    model = kerasvit.VisionTransformer((32, 32, 3), 8, 3, 16, 2, 2, 16, record=record)
    model.save(path)


def write_pictures(folder, count, seed):
    """Write pictures into sub-folders; return the paths of the bad ones."""
    draw, bad = random.Random(seed), set()
    wrong = set(draw.sample(range(count), round(count * _BAD_SHARE)))
    for number in range(count):
        place = folder / f"{number // _A_FOLDER:03}"
        place.mkdir(parents=True, exist_ok=True)
        suffix, content = _picture(number, draw)
        if number in wrong:
            content = _BAD[number % len(_BAD)](content, draw)
        path = place / f"{number:05}{suffix}"
        path.write_bytes(content)
        if number in wrong:
            bad.add(path.resolve())
    return bad


def _picture(number, draw):
    """Return the ending and the bytes of one picture; the kinds take turns."""
    suffix, encode = _KINDS[number % len(_KINDS)]
    size = draw.randint(20, 90), draw.randint(20, 90)
    pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3), np.uint8)
    file = io.BytesIO()
    encode(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), file, draw)
    return suffix, file.getvalue()


def _as(kind, mode="RGB", **options):
    return lambda picture, file, draw: picture.convert(mode).save(file, kind, **options)


def _turned(kind):
    def encode(picture, file, draw):
        exif = Image.Exif()
        exif[_EXIF] = draw.randint(1, 8)
        picture.save(file, kind, exif=exif)

    return encode


def _sixteen_bits(picture, file, draw):
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(file, "PNG")


def _moving(kind):
    def encode(picture, file, draw):
        picture.save(file, kind, save_all=True, append_images=[picture.rotate(180)])

    return encode


_KINDS = [
    (".png", _as("PNG")),
    (".jpg", _as("JPEG")),
    (".png", _as("PNG", "RGBA")),
    (".jpeg", _turned("JPEG")),
    (".webp", _as("WEBP")),
    (".png", _as("PNG", "P")),
    (".gif", _as("GIF")),
    (".jpg", _as("JPEG", "CMYK")),
    (".bmp", _as("BMP")),
    (".png", _sixteen_bits),
    (".tif", _as("TIFF")),
    (".png", _as("PNG", "1")),
    (".jpg", _as("JPEG", "L", progressive=True)),
    (".gif", _moving("GIF")),
    (".webp", _moving("WEBP")),
    (".tiff", _as("TIFF", "CMYK")),
    (".png", _as("PNG", "LA")),
    (".png", _turned("PNG")),
]


def _cut(content, draw):
    return content[: len(content) // 3]


def _bomb(content, draw):
    """Return a PNG whose header promises 65,535 x 65,535 pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


_BAD = [
    _cut,
    _bomb,
    lambda content, draw: b"",
    lambda content, draw: b"<!DOCTYPE html><title>404</title>",
    lambda content, draw: draw.randbytes(300),
    lambda content, draw: content[:4] + draw.randbytes(60),
]
