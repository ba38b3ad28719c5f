"""What is no checkpoint, and checkpoints that were damaged: rows 1 to 3 of the fault table."""

import gzip
import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.files.sniffing import sniff
from kerasvit.digests import file_sha256
from kerasvit.errors import InputError

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

WEIGHTS = {
    "blocks.0.attn.qkv.weight": np.arange(60, dtype=np.float32).reshape(12, 5) / 7,
    "norm.weight": np.linspace(-1, 1, 7, dtype=np.float32),
}


def write(path, form):
    tensors = {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}
    if form == "safetensors":
        safetensors_torch.save_file(tensors, path, metadata={"format": "pt"})
    elif form == "npz":
        with open(path, "wb") as file:
            np.savez(file, **WEIGHTS)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "torch")
    return path


def read_all(path, **digest):
    checkpoint = open_checkpoint(path, **digest)
    return {name: checkpoint[name] for name in checkpoint}


def zip_bytes(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return buffer.getvalue()


def tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return buffer.getvalue()


FOREIGN = {
    "empty": (b"", "empty"),
    "html": (b"<!DOCTYPE html>\n<html><title>404</title></html>", "web page"),
    "html after a mark and spaces": ("\ufeff \r\n <html lang='é'>".encode(), "web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
    "html whose 4096th byte cuts a letter": (b"<" + "é".encode() * 3000, "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n", "git-lfs"),
    "json": (b'{"error": "rate limit exceeded"}', "text"),
    "json with a brace as the ninth byte": (b'{"error":{"code": 429}}', "text"),
    "text that starts as a pickle of protocol 0": (b"cat\ndog\nN.B. this is no pickle", "text"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "keras": (zip_bytes("metadata.json", "config.json", "model.weights.h5"), "Keras"),
    "torchscript": (zip_bytes("net/data.pkl", "net/constants.pkl", "net/code/x"), "TorchScript"),
    "other zip": (zip_bytes("readme.txt"), "'readme.txt'"),
    "empty zip": (zip_bytes(), "zip archive without weights"),
    "npy": (b"\x93NUMPY\x01\x00", ".npy"),
    "gzip": (gzip.compress(b"weights"), "gzip"),
    "tar": (tar_bytes(), "tar archive"),
    "png": (b"\x89PNG\r\n\x1a\n", "picture"),
    "noise": (bytes(range(200, 256)), "no known format"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.4.0:\xa0\x01" + bytes(90), "ONNX model.*PyTorch"),
    "onnx without a producer": (b"\x08\x07:\xa0\x01\n\x05" + bytes(90), "ONNX model"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(90), "GGUF.*PyTorch weights"),
    "msgpack": (b"\x81\xa6params\x81\xa6Dense0" + bytes(90), "Flax.*model.safetensors"),
    "large msgpack": (b"\xde\x00\x20\xa3cls\xc7" + bytes(90), "msgpack"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(90), "TensorFlow Lite"),
    "tensorrt": (b"ftrt" + bytes(90), "TensorRT"),
    "saved model": (b"\x08\x01\x12\xa0\x01\n\x05" + bytes(90), "SavedModel"),
    "core ml": (b"\x08\x07\x12\x50\x0a\x05" + bytes(90), "Core ML"),
    "zstandard": (b"\x28\xb5\x2f\xfd" + bytes(90), "zstandard"),
    "tf_model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "tf_model.h5 take model.safetensors"),
    "pt2": (zip_bytes("model/archive_format", "model/data/weights/0"), r"pt2.*torch\.export\.load"),
    "old pt2": (zip_bytes("serialized_exported_program.json", "version"), "exported program"),
    "half a zip": (b"PK\x03\x04" + bytes(40), "truncated"),
    "header only": ((500).to_bytes(8, "little") + b'{"a"', "truncated"),
    "plain pickle of data": (pickle.dumps({"weight": [1.0]}), "plain containers"),
    "plain pickle, protocol 0": (pickle.dumps({"weight": [1.0]}, protocol=0), "plain containers"),
    "plain pickle of arrays": (pickle.dumps(WEIGHTS), "reconstruct, numpy.ndarray"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_checkpoint_is_called_by_its_name(tmp_path, case):
    content, words = FOREIGN[case]
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        open_checkpoint(path)
    message = str(caught.value)
    assert repr(str(path)) in message
    assert "Received: " in message
    assert "\n" not in message


def test_missing_file_folder_and_unreadable_names(tmp_path):
    for path, words in (
        (tmp_path / "absent.pth", "No such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "with\0null", "null byte"),
        (tmp_path / ("n" * 300), "too long"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            open_checkpoint(path)
        assert repr(str(path)) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a POSIX thing")
@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # by the archive's writer
def test_two_members_of_one_name_are_refused(tmp_path):
    """zipfile reads the last of them, torch's own reader may read the first."""
    path = write(tmp_path / "a.pth", "torch")
    with zipfile.ZipFile(path, "a") as archive:
        name = next(one for one in archive.namelist() if "/data/" in one)
        archive.writestr(name, archive.read(name))
    with pytest.raises(InputError, match="two members of one name"):
        read_all(path)


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(InputError, match="not a regular file"):
        open_checkpoint(tmp_path / "pipe.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz", ".bin", ""])
@pytest.mark.parametrize("form", ["torch", "torch-legacy", "safetensors", "npz"])
def test_the_suffix_plays_no_part(tmp_path, form, suffix):
    path = write(tmp_path / f"model{suffix}", form)
    assert sniff(path) == form
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == form
    assert checkpoint.names == tuple(WEIGHTS)
    for name, array in WEIGHTS.items():
        assert checkpoint.shape(name) == array.shape
        np.testing.assert_array_equal(checkpoint[name], array)


@pytest.mark.parametrize("form", ["torch", "torch-legacy", "safetensors", "npz"])
def test_a_file_cut_anywhere_is_an_input_error(tmp_path, form):
    content = write(tmp_path / "whole", form).read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(content)
    for size in reversed(range(len(content))):
        os.truncate(path, size)
        with pytest.raises(InputError):
            read_all(path)


def flipped(content):
    """Every byte of the content with one of its bits flipped, another bit each time."""
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << (position * 5 % 8)
        yield bytes(changed)


def outcome(path, **digest):
    try:
        arrays = read_all(path, **digest)
    except InputError:
        return "refused"
    same = arrays.keys() == WEIGHTS.keys() and all(
        np.array_equal(arrays[name], array) for name, array in WEIGHTS.items()
    )
    return "same values" if same else "other values"


@pytest.mark.parametrize("form", ["torch", "npz"])
def test_a_flipped_bit_in_an_archive_never_changes_a_value(tmp_path, form):
    content = write(tmp_path / "whole", form).read_bytes()
    path = tmp_path / "flipped.pth"
    outcomes = []
    for changed in flipped(content):
        path.write_bytes(changed)
        outcomes.append(outcome(path))
    # "same values": bytes that carry nothing, such as padding and the members' dates.
    assert "other values" not in outcomes
    assert outcomes.count("refused") > 0.3 * len(content)


@pytest.mark.parametrize("form", ["safetensors", "torch-legacy"])
def test_a_flipped_bit_in_a_file_without_checksums_needs_the_digest(tmp_path, form):
    whole = write(tmp_path / "whole", form)
    path = tmp_path / "flipped.pth"
    alone, with_digest = [], []
    for changed in flipped(whole.read_bytes()):
        path.write_bytes(changed)
        alone.append(outcome(path))
        with_digest.append(outcome(path, sha256=file_sha256(whole)))
    assert set(with_digest) == {"refused"}
    # The reason why such a file carries a note that it is unverified.
    assert "other values" in alone
    assert open_checkpoint(whole).notes[0].startswith("Unverified")
    assert open_checkpoint(whole, sha256=file_sha256(whole)).notes == ()


def make(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")
    return folder


FOLDERS = {
    "distributed": ([".metadata", "__0_0.distcp"], "distributed checkpoint.*dcp_to_torch"),
    "zero": (["zero_to_fp32.py", "latest", "a_optim_states.pt"], "ZeRO.*zero_to_fp32"),
    "peft": (["adapter_config.json", "adapter_model.safetensors"], "PEFT.*merge_and_unload"),
    "orbax": (["_CHECKPOINT_METADATA", "manifest.ocdbt", "d/x"], "Orbax"),
    "saved model": (["saved_model.pb", "variables/variables.index"], "SavedModel"),
    "flax": (["config.json", "flax_model.msgpack"], "Flax.*same repository"),
    "tensorflow": (["config.json", "tf_model.h5"], "TensorFlow.*same repository"),
    "core ml": (["Manifest.json", "Data/x"], "Core ML"),
    "paddle": (["model.pdmodel", "model.pdiparams"], "Paddle"),
    "several": (["last.pth", "best.pth", "optimizer.pt"], r"2 files.*best\.pth, last\.pth"),
    "trainer": (["checkpoint-9/model.safetensors", "checkpoint-5/model.safetensors"], "folder of"),
    "empty": ([], "empty folder"),
    "pictures": (["a.png", "b.png"], "without a checkpoint.*a.png"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_says_what_it_is_or_which_files_could_be_meant(tmp_path, case):
    names, words = FOLDERS[case]
    with pytest.raises(InputError, match=words) as caught:
        open_checkpoint(make(tmp_path, names))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["best.pth", "last.ckpt", "weights.bin"])
def test_the_only_file_of_a_folder_is_the_one_that_is_meant(tmp_path, name):
    make(tmp_path, ["optimizer.pt", "rng_state_0.pth", "training_args.bin", "notes.txt"])
    tensors = {key: torch.from_numpy(value) for key, value in WEIGHTS.items()}
    torch.save(tensors, tmp_path / name)
    assert open_checkpoint(tmp_path).path == tmp_path / name


def test_one_file_of_a_distributed_checkpoint_says_how_to_join_it(tmp_path):
    for name in (".metadata", "__0_0.distcp"):
        make(tmp_path, [name])
        with pytest.raises(InputError, match=f"dcp_to_torch {tmp_path}"):
            open_checkpoint(tmp_path / name)
