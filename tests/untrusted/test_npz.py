"""Archives of maps and of states: as long as they say, and no longer than their size tells."""

import zipfile
import zlib

import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.training.run.checkpoints import read_meta
from kerasvit.untrusted.npz import NPZ_UNPACKED, read_arrays


def _member(path, header, zeros):
    """Write an archive whose one array says a shape, followed by so many bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        shape = {"descr": "<f4", "fortran_order": False, "shape": header}
        np.lib.format.write_array_header_1_0(member, shape)
        for _ in range(zeros // 2**20):
            member.write(bytes(2**20))
    return path


def test_a_packed_bomb_is_refused(tmp_path):
    size = NPZ_UNPACKED + 2**20
    path = _member(tmp_path / "x.npz", (size // 4,), size)
    assert path.stat().st_size < 2**20
    for read in (read_arrays, read_meta):
        with pytest.raises(InputError, match="more memory"):
            read(path)


def test_a_header_that_promises_more_is_refused(tmp_path):
    with pytest.raises(ValueError, match="bytes"):
        read_arrays(_member(tmp_path / "x.npz", (2**40,), 2**20))


def test_objects_are_never_made(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        read_arrays(tmp_path / "x.npz")


def test_what_was_written_is_read(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.array("text"), "c": np.zeros((0, 4))}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    read = read_arrays(tmp_path / "x.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_byte_is_noticed(tmp_path, save):
    path = tmp_path / "x.npz"
    save(path, a=np.random.default_rng(0).random(2000))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        read_arrays(path)
