"""Limits: what is exactly as large as one passes, one more does not, and their numbers are told."""

import functools
import io
import os
import pathlib
import random
import re
import struct
import zipfile

import h5py
import numpy as np
import pytest

from kerasvit.conversion.files import pickle_scan
from kerasvit.conversion.sources.patience import Limits
from kerasvit.errors import InputError
from kerasvit.untrusted import archives, hdf5, limits, npz, texts

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_numbers_that_users_are_told_are_those_that_hold():
    """Of SECURITY.md, which says them in whole units."""
    told = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    mebi, lists = f"{limits.UNPACKED / 2**20:g} MiB", f"{npz.NPZ_UNPACKED / 2**20:g} MiB"
    for words in (
        f"may unpack to {mebi}, or {limits.RATIO} times its own size",
        f"of maps or of a run's state: {lists}",
        f"at most {limits.ENTRIES:,} entries",
        f"a pickle of {pickle_scan._MAX_OPCODES:,} steps",
        f"a rate of {Limits().rate / 2**10:g} KiB a second",
    ):
        assert words in told
    assert limits.UNPACKED == 64 * 2**20


@pytest.mark.parametrize("size", [1, limits.UNPACKED // limits.RATIO, 2**30])
def test_bytes_at_the_limit(size):
    allowed = max(limits.UNPACKED, limits.RATIO * size)
    limits.check_bytes("'x'", allowed, size)
    with pytest.raises(
        InputError, match=rf"may unpack to {allowed} at most. Received: {allowed + 1} by"
    ):
        limits.check_bytes("'x'", allowed + 1, size)
    with pytest.raises(InputError, match=rf"{allowed + 1} bytes in 'big'\. Save"):
        limits.check_bytes("'x'", allowed + 1, size, name="big")


def test_entries_at_the_limit():
    limits.check_entries("'x'", limits.ENTRIES)
    limits.check_entries("'x'", 7, limit=7)
    with pytest.raises(InputError, match=r"'x' .* at most 7\. Received: 8\."):
        limits.check_entries("'x'", 8, limit=7)


@pytest.mark.parametrize(
    ("read", "limit", "text"),
    [
        (texts.read_json, texts.JSON_BYTES, '{"a": 1}'),
        (texts.read_toml, texts.TOML_BYTES, "a = 1\n"),
        (lambda text: texts.read_json(text, 10), 10, '{"a": 1}'),
    ],
    ids=["json", "toml", "own limit"],
)
def test_texts_at_the_limit(read, limit, text):
    assert read(text.ljust(limit)) == {"a": 1}
    with pytest.raises(
        ValueError, match=rf"^{limit + 1} (bytes|letters) of .*, of at most {limit}$"
    ):
        read(text.ljust(limit + 1))


def test_room_for_the_names_of_the_longest_list_of_classes():
    """The 21,841 of ImageNet-21k, of 100 letters each, and a recipe of ten thousand lines."""
    names = ", ".join(f'"{index}": "{"x" * 90}"' for index in range(21_841))
    assert len(texts.read_json("{" + names + "}")) == 21_841
    assert texts.read_toml(f"#{'x' * 99}\n" * 10_000 + "a = 1") == {"a": 1}


@pytest.mark.parametrize(("parts", "deep"), [(16, False), (31, False), (32, True)])
def test_toml_as_deep_as_no_recipe(parts, deep):
    """Keys of many parts, bare or in quotes, and lists or tables in one another."""
    for text in (
        ".".join(["a"] * parts) + " = 1",
        " . ".join(['"a b"'] * parts) + " = 1",
        "a = " + "[" * parts + "]" * parts,
        "a = " + "{b=" * (parts if deep else 1) + "1" + "}" * (parts if deep else 1),
    ):
        if not deep:
            assert texts.read_toml(text)
    if deep:
        for text in (".".join(["a"] * parts) + " = 1", "a = " + "[ " * parts + "]" * parts):
            with pytest.raises(ValueError, match="nested too deeply"):
                texts.read_toml(text)


def _nested(path, depth):
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(depth):
            group = group.create_group("g")
        group["x"] = np.zeros((2, 3), "float32")
        group["i"] = np.zeros(4, "int8")
        group["b"] = np.zeros(4, "bool")
    return path


def test_hdf5_at_the_limits(tmp_path, monkeypatch):
    with h5py.File(_nested(tmp_path / "a.h5", hdf5._DEPTH)) as file:
        prefix = "/g" * hdf5._DEPTH
        assert {
            (array.name, array.shape, str(array.dtype)) for array in hdf5.stored_arrays(file, 32)
        } == {
            (prefix + "/x", (2, 3), "float32"),
            (prefix + "/i", (4,), "int8"),
            (prefix + "/b", (4,), "bool"),
        }
        with pytest.raises(ValueError, match="arrays of 32 bytes in a file of 31"):
            hdf5.stored_arrays(file, 31)
        nodes = hdf5._DEPTH + 3
        monkeypatch.setattr(hdf5, "ENTRIES", nodes)
        assert len(hdf5.stored_arrays(file, 32)) == 3
        monkeypatch.setattr(hdf5, "ENTRIES", nodes - 1)
        with pytest.raises(ValueError, match=f"more than {nodes - 1} nodes"):
            hdf5.stored_arrays(file, 32)
    monkeypatch.undo()
    with (
        h5py.File(_nested(tmp_path / "b.h5", hdf5._DEPTH + 1)) as file,
        pytest.raises(ValueError, match="depth over"),
    ):
        hdf5.stored_arrays(file, 2**20)


@pytest.mark.parametrize(
    ("dtype", "told", "is_read"),
    [
        ("V2", "bfloat16", True),
        ("V2", None, False),
        ("V2", "float8", False),
        ("V4", "bfloat16", False),
        ("complex64", None, False),
        ("S3", None, False),
    ],
)
def test_hdf5_of_real_numbers_alone(tmp_path, dtype, told, is_read):
    """Keras' bfloat16 is stored as two bytes of no type, with its name beside them."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3, dtype)
        if told:
            file["x"].attrs["dtype"] = told
        if is_read:
            assert hdf5.stored_arrays(file, 100)[0].shape == (3,)
        else:
            with pytest.raises(ValueError, match="where weights are real numbers"):
                hdf5.stored_arrays(file, 100)


def _archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            # As NumPy's: with more between the name and the data.
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_from_any_place_as_a_file_is(tmp_path, method):
    """Against the same bytes in memory: from all three ends, past them, reads of any length."""
    data = random.Random(0).randbytes(20_000)
    path = _archive(
        tmp_path / "x.zip", {"before/a long name": b"x" * 99, "a": data, "b": b"y"}, method
    )
    member = archives.check_archive(path)["a"]
    drawn = random.Random(1)
    with archives.open_member(path, member) as file, io.BytesIO(data) as memory:
        assert file.tell() == 0
        assert file.readable()
        assert file.seekable()
        for _ in range(300):
            whence = drawn.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
            offset = drawn.randrange(-25_000, 25_000)
            if whence == os.SEEK_SET:
                offset = abs(offset)
            assert file.seek(offset, whence) == memory.seek(offset, whence)
            assert file.tell() == memory.tell()
            length = drawn.choice([0, 1, 7, 500, 9_000, -1])
            assert file.read(length) == memory.read(length)
    assert file.closed


def test_the_file_of_a_member_is_closed_with_it(tmp_path, monkeypatch):
    path = _archive(tmp_path / "x.zip", {"a": b"abc"})
    opened = []
    open_file = pathlib.Path.open

    def noting(self, *arguments):
        opened.append(open_file(self, *arguments))
        return opened[-1]

    monkeypatch.setattr(pathlib.Path, "open", noting)
    with archives.open_member(path, archives.check_archive(path)["a"]) as file:
        assert file.read() == b"abc"
        assert not opened[0].closed
    assert opened[0].closed


def test_members_at_the_limits(tmp_path, monkeypatch):
    path = _archive(tmp_path / "x.zip", {"a": bytes(700), "b": bytes(300)}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        assert archives.read_member(archive, "a", 700) == bytes(700)
        with pytest.raises(InputError, match=r"'a' may have 699 bytes. Received: 700"):
            archives.read_member(archive, "a", 699)
    few = functools.partial(limits.check_entries, limit=1)
    with monkeypatch.context() as patch:
        patch.setattr(archives, "check_entries", few)
        with pytest.raises(InputError, match=r"at most 1\. Received: 2"):
            archives.check_archive(path)
    monkeypatch.setattr(limits, "RATIO", 1)
    assert [*archives.check_archive(path, 1000)] == ["a", "b"]
    with pytest.raises(InputError, match=r"at most. Received: 1000 bytes in 'a'"):
        archives.check_archive(path, 999)
    assert archives.check_archive(_archive(tmp_path / "empty.zip", {})) == {}


def test_a_member_that_is_encrypted_is_refused(tmp_path):
    path = _archive(tmp_path / "x.zip", {"a": b"abc"})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    (flags,) = struct.unpack_from("<H", data, central + 8)
    struct.pack_into("<H", data, central + 8, flags | 1)
    path.write_bytes(data)
    with pytest.raises(InputError, match="'a', packed in another way or encrypted"):
        archives.check_archive(path)


def test_members_that_share_one_byte_are_refused(tmp_path):
    """Packed sizes as long as the file itself pass, and one byte more does not."""
    path = _archive(tmp_path / "x.zip", {"a": b"abc"})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    for size, refused in ((len(data), False), (len(data) + 1, True)):
        struct.pack_into("<I", data, central + 20, size)
        path.write_bytes(data)
        if refused:
            with pytest.raises(InputError, match="over one another"):
                archives.check_archive(path)
        else:
            archives.check_archive(path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array", [np.arange(12.0).reshape(3, 4), np.asfortranarray(np.ones((2, 3)))]
)
def test_headers_of_arrays(version, array):
    with io.BytesIO() as file:
        np.lib.format.write_array(file, array, version)
        size = file.tell()
        file.seek(0)
        header = npz.read_header(file, size)
        assert header == npz.Header(array.shape, array.flags.fnc, array.dtype, size - array.nbytes)
        for other in (size - 1, size + 1):
            file.seek(0)
            with pytest.raises(ValueError, match=re.escape(f"shape {array.shape}")):
                npz.read_header(file, other)
        file.seek(0)
        file.write(b"\x93NUMPY\x03\x00")
        file.seek(0)
        with pytest.raises(ValueError, match=r"version \(3, 0\)"):
            npz.read_header(file, size)
