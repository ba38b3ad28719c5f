"""Damage done to good files at random: bits, blocks, lengths and words; archives with it inside."""

import io
import random
import re
import struct
import warnings
import zipfile
import zlib

_NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31)
_NUMBERS += (2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
_LONGEST = 2**18
# What a reader of texts may stumble over.
WORDS = (
    *("0", "-1", "1e999", "NaN", "Infinity", "true", "null", "[]", "{}", '""', "99999999999999"),
    *("9" * 400, "1.5", "-0", "\x00", "\x1b[2J", "\n", "\r", "\t", "é", "\u202e", "\ud83d\ude00"),
    *("..", "/", "../x", "a" * 300, "%s", "{0}", "'", '"', "\\", "[", "]", "{", "}", "=", ",", ":"),
    *("#", "[[1]]", '{"a": 1}', "inf", "nan", "None", "1:2:3", "1979-05-27", "0x10", "1_000"),
    *("@", "//", "?", "hf://", "https://", "\ufeff", "\uff12", "\u00b2", " "),
)


def damaged(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a file with one to four faults in it."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        draw.choice(_FAULTS)(draw, data, seeds)
    return bytes(data[:_LONGEST])


def _span(draw, data):
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 2, 4, 8, 64, 1000)))


def _flip(draw, data, seeds):
    for _ in range(draw.choice((1, 1, 3, 20)) if data else 0):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _put_number(draw, data, seeds):
    """Write over a place that may say a length."""
    size, order = draw.choice("BHIQ"), draw.choice("<>")
    number = draw.choice(_NUMBERS) % 2 ** (8 * struct.calcsize(size))
    start = draw.randrange(len(data) + 1)
    data[start : start + struct.calcsize(size)] = struct.pack(order + size, number)


def _cut(draw, data, seeds):
    del data[draw.randrange(len(data) + 1) :]


def _remove(draw, data, seeds):
    start, end = _span(draw, data)
    del data[start:end]


def _repeat(draw, data, seeds):
    start, end = _span(draw, data)
    data[end:end] = data[start:end] * draw.choice((1, 1, 2, 100))


def _swap(draw, data, seeds):
    start, end = _span(draw, data)
    block = data[start:end]
    del data[start:end]
    place = draw.randrange(len(data) + 1)
    data[place:place] = block


def _insert(draw, data, seeds):
    place = draw.randrange(len(data) + 1)
    data[place:place] = draw.randbytes(draw.choice((1, 2, 8, 100)))


def _splice(draw, data, seeds):
    """Go on as another good file does."""
    other = draw.choice(seeds)
    place = draw.randrange(min(len(data), len(other)) + 1)
    data[place:] = other[place:]


_FAULTS = (_flip, _flip, _put_number, _put_number, _cut, _remove, _repeat, _swap, _insert, _splice)


def damaged_text(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a text whose words were moved, doubled and replaced; at times with bytes damaged."""
    if draw.random() < 0.15:
        return damaged(draw, seeds)
    words = re.findall(r"\w+|\s+|.", draw.choice(seeds).decode("utf-8", "replace"))
    others = re.findall(r"\w+", draw.choice(seeds).decode("utf-8", "replace")) or ["x"]
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        start = draw.randrange(len(words) + 1)
        end = min(len(words), start + draw.choice((1, 1, 1, 3, 20)))
        fault = draw.randrange(5)
        if fault == 0:
            del words[start:end]
        elif fault == 1:
            words[end:end] = words[start:end] * draw.choice((1, 1, 3, 200))
        elif fault == 2:
            words[start:end] = [draw.choice(others)]
        else:
            words[start:end] = [draw.choice(WORDS)]
    return "".join(words).encode("utf-8", "surrogatepass")[:_LONGEST]


def members_of(data: bytes) -> dict[str, bytes]:
    """Return the members of a good zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive whose checksums are right."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # Two members of one name.
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def damaged_archive(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a zip archive with a damaged member and the right checksum, or damaged as a whole."""
    if draw.random() < 0.25:
        return damaged(draw, seeds)
    members = list(members_of(draw.choice(seeds)).items())
    number = draw.randrange(len(members))
    name, data = members[number]
    fault = draw.randrange(12)
    if fault == 0:
        members.append((name, data))
    elif fault == 1:
        del members[number]
    elif fault == 2:
        members[number] = (damaged_text(draw, [name.encode()]).decode("utf-8", "replace"), data)
    else:
        change = damaged_text if name.endswith(".json") or fault == 3 else damaged
        members[number] = (name, change(draw, [data]))
    # A name ends at a zero.
    named = [(name.split("\0")[0] or "x", data) for name, data in members]
    return zipped(named, draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def damaged_safetensors(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a safetensors file whose header was changed and has its right length."""
    if draw.random() < 0.4:
        return damaged(draw, seeds)
    data = draw.choice(seeds)
    end = 8 + int.from_bytes(data[:8], "little")
    header = damaged_text(draw, [data[8:end]])
    return struct.pack("<Q", len(header)) + header + data[end:]


def damaged_png(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a PNG whose chunks were damaged, moved or doubled, with the right checksums."""
    if draw.random() < 0.3:
        return damaged(draw, seeds)
    data, place, chunks = draw.choice(seeds), 8, []
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += length + 12
    number = draw.randrange(len(chunks))
    kind, content = chunks[number]
    fault = draw.randrange(8)
    if fault == 0:
        del chunks[number]
    elif fault == 1:
        chunks.insert(draw.randrange(len(chunks)), (kind, content))
    elif fault == 2 and kind == b"IDAT":
        pixels = damaged(draw, [zlib.decompress(content)]) if len(chunks) < 9 else content
        chunks[number] = (kind, zlib.compress(pixels))
    else:
        chunks[number] = (kind, damaged(draw, [content]))
    parts = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return data[:8] + b"".join(parts)
