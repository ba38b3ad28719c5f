"""Row 2 of the fault table: 1,000 random corruptions of files of known hashes, none accepted."""

import numpy as np
import pytest
import safetensors.numpy

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.digests import file_sha256
from kerasvit.errors import InputError

COUNT = 250  # of each of the four forms


def _write(path, form):
    state = {"a": np.arange(24, dtype="float32").reshape(4, 6), "b": np.ones(5, "float32")}
    if form == "safetensors":
        safetensors.numpy.save_file(state, path)
    elif form == "npz":
        with open(path, "wb") as file:
            np.savez(file, **state)
    else:
        torch = pytest.importorskip("torch")
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "torch")


def _corrupted(content, random):
    """Flip a bit, overwrite a run, cut, lengthen, or move bytes; never give the same content."""
    changed = bytearray(content)
    start, length = random.integers(len(content)), 1 + random.integers(64)
    match random.integers(5):
        case 0:
            changed[start] ^= 1 << random.integers(8)
        case 1:
            changed[start : start + length] = random.bytes(len(changed[start : start + length]))
        case 2:
            del changed[start:]
        case 3:
            changed[start:start] = random.bytes(length)
        case 4:
            del changed[start : start + length]
    return bytes(changed) if changed != content else _corrupted(content, random)


@pytest.mark.parametrize("form", ["torch", "torch-legacy", "safetensors", "npz"])
def test_no_corruption_of_a_known_file_is_accepted(tmp_path, form):
    path = tmp_path / "model"
    _write(path, form)
    content, digest = path.read_bytes(), file_sha256(path)
    assert open_checkpoint(path, sha256=digest).sha256 == digest
    random = np.random.default_rng(0)
    for _ in range(COUNT):
        path.write_bytes(_corrupted(content, random))
        with pytest.raises(InputError):
            open_checkpoint(path, sha256=digest)
