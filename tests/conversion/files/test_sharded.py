"""Checkpoints in several files: an index and its shards."""

import json

import numpy as np
import pytest
import safetensors.numpy

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.errors import InputError

STATE = {f"blocks.{i}.weight": np.full((3, 2), i, "float32") for i in range(6)}
INDEX = "model.safetensors.index.json"


def _file(number):
    return f"model-{number + 1:05d}-of-00003.safetensors"


def _write(folder):
    """Write three shards of two tensors, and return the index and its map."""
    names = list(STATE)
    weight_map = {}
    for number in range(3):
        part = {name: STATE[name] for name in names[2 * number : 2 * number + 2]}
        safetensors.numpy.save_file(part, folder / _file(number))
        weight_map |= dict.fromkeys(part, _file(number))
    return _write_index(folder, weight_map), weight_map


def _write_index(folder, weight_map):
    path = folder / INDEX
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return path


def test_the_index_and_its_folder_give_all_tensors(tmp_path):
    index, _ = _write(tmp_path)
    for source in (index, tmp_path, str(tmp_path)):
        checkpoint = open_checkpoint(source)
        assert checkpoint.names == tuple(STATE)
        for name, array in STATE.items():
            np.testing.assert_array_equal(checkpoint[name], array)
    assert checkpoint.path == index
    assert all(_file(number) in checkpoint.notes[0] for number in range(3))


def test_shards_of_torch_files(tmp_path):
    torch = pytest.importorskip("torch")
    names = list(STATE)
    weight_map = {}
    for number in range(2):
        part = {name: torch.from_numpy(STATE[name]).half() for name in names[number::2]}
        torch.save(part, tmp_path / f"part-{number}.bin")
        weight_map |= dict.fromkeys(part, f"part-{number}.bin")
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    checkpoint = open_checkpoint(tmp_path)
    assert set(checkpoint.names) == set(STATE)
    assert checkpoint.dtype(names[0]) == "float16"
    for name, array in STATE.items():
        np.testing.assert_array_equal(checkpoint[name], array)


def test_a_folder_of_one_file_gives_that_file(tmp_path):
    safetensors.numpy.save_file(STATE, tmp_path / "model.safetensors")
    assert open_checkpoint(tmp_path).path == tmp_path / "model.safetensors"


def test_each_missing_shard_is_named(tmp_path):
    index, _ = _write(tmp_path)
    for number in (0, 2):
        (tmp_path / _file(number)).unlink()
    with pytest.raises(InputError, match=f"2 of them missing, '{_file(0)}', '{_file(2)}'"):
        open_checkpoint(index)


def test_a_damaged_shard_is_named(tmp_path):
    index, _ = _write(tmp_path)
    shard = tmp_path / _file(1)
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(InputError, match=_file(1)):
        open_checkpoint(index)


def test_a_shard_that_changes_after_it_was_opened_is_refused(tmp_path):
    index, _ = _write(tmp_path)
    checkpoint = open_checkpoint(index)
    safetensors.numpy.save_file({"other": np.ones(7, "float32")}, tmp_path / _file(1))
    np.testing.assert_array_equal(checkpoint["blocks.0.weight"], STATE["blocks.0.weight"])
    with pytest.raises(InputError, match="changed after it was opened"):
        checkpoint["blocks.2.weight"]


def test_the_index_and_the_shards_must_agree(tmp_path):
    _, weight_map = _write(tmp_path)
    less = {name: file for name, file in weight_map.items() if name != "blocks.3.weight"}
    for changed in (less, {**weight_map, "blocks.9.weight": _file(1)}):
        with pytest.raises(InputError, match=_file(1)):
            open_checkpoint(_write_index(tmp_path, changed))


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "a\\b", "..", "", 7])
def test_a_shard_is_a_plain_file_name(tmp_path, file):
    with pytest.raises(InputError, match="no index of a sharded checkpoint"):
        open_checkpoint(_write_index(tmp_path, {"weight": file}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, "\x00"])
def test_a_malformed_index_is_refused(tmp_path, text):
    path = tmp_path / INDEX
    path.write_text(text)
    with pytest.raises(InputError, match="index"):
        open_checkpoint(path)


def test_the_digest_of_a_sharded_checkpoint_is_that_of_its_index(tmp_path):
    index, _ = _write(tmp_path)
    digest = open_checkpoint(index).sha256
    assert open_checkpoint(index, sha256=digest).sha256 == digest
    with pytest.raises(InputError, match="sha256 must be"):
        open_checkpoint(index, sha256="0" * 64)
