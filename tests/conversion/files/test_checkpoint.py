"""A checkpoint's values, digests and memory: rows 2, 11, 12, 13 and 23 of the fault table."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import hypothesis
import hypothesis.extra.numpy
import keras
import numpy as np
import pytest

from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.files.tensors import as_float32
from kerasvit.digests import file_sha256
from kerasvit.errors import InputError, UsageError

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

VALUES = torch.tensor([[0.0, -0.0, 1.5], [-2.25, 3e-5, 60000.0]])
FLOATS = ["float16", "bfloat16", "float32", "float64"]
REFUSED = ["int64", "int32", "int16", "int8", "uint8", "uint16", "bool", "complex64"]
FORMS = ["torch", "torch-legacy", "safetensors", "memory"]


def store(tmp_path, tensors, form):
    path = tmp_path / "model.bin"
    if form == "memory":
        return tensors
    if form == "safetensors":
        safetensors_torch.save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "torch")
    return path


@pytest.fixture
def file(tmp_path):
    return store(tmp_path, {"weight": VALUES}, "safetensors")


# Values.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_floating_type_becomes_the_float32_that_torch_makes_of_it(tmp_path, dtype, form):
    tensor = VALUES.to(getattr(torch, dtype))
    checkpoint = open_checkpoint(store(tmp_path, {"weight": tensor}, form))
    array = checkpoint["weight"]
    assert checkpoint.dtype("weight") == dtype
    assert checkpoint.shape("weight") == array.shape == (2, 3)
    assert array.dtype == np.float32
    assert array.tobytes() == tensor.to(torch.float32).numpy().tobytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [*REFUSED, "float8_e4m3fn"])
def test_other_types_are_refused_only_when_they_are_read(tmp_path, dtype, form):
    if form == "torch-legacy" and dtype in ("uint16", "float8_e4m3fn"):
        pytest.skip("torch can't read what it wrote")
    tensors = {"weight": VALUES, "num_batches_tracked": torch.ones(3).to(getattr(torch, dtype))}
    checkpoint = open_checkpoint(store(tmp_path, tensors, form))
    np.testing.assert_array_equal(checkpoint["weight"], VALUES.numpy())
    with pytest.raises(InputError, match="'num_batches_tracked' can't be a weight") as caught:
        checkpoint["num_batches_tracked"]
    assert f"Received: {checkpoint.dtype('num_batches_tracked')}" in str(caught.value)


@pytest.mark.parametrize("form", ["torch", "torch-legacy", "memory"])
@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
def test_quantised_sparse_and_meta_tensors_are_refused(tmp_path, form):
    tensors = {
        "quantised": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8),
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.ones(2, device="meta"),
        "weight": VALUES,
    }
    if form == "torch-legacy":
        del tensors["meta"]
    checkpoint = open_checkpoint(store(tmp_path, tensors, form))
    for name, kind in (("quantised", "qint8"), ("sparse", "sparse_coo"), ("meta", "meta device")):
        if name in tensors and not (form == "torch" and name == "meta"):
            with pytest.raises(InputError, match=f"'{name}' can't be a weight.*{kind}"):
                checkpoint[name]


@hypothesis.settings(derandomize=True, max_examples=50)
@hypothesis.given(
    hypothesis.extra.numpy.arrays(np.uint16, hypothesis.extra.numpy.array_shapes(min_dims=0))
)
def test_bfloat16_bits_widen_as_in_torch(bits):
    expected = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).to(torch.float32)
    np.testing.assert_array_equal(
        as_float32(bits).view(np.uint32), expected.numpy().view(np.uint32)
    )


@pytest.mark.parametrize("form", [*FORMS])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_counted_and_named(tmp_path, form, bad):
    weight = torch.ones(5, 4)
    weight[1:3, 2] = bad
    checkpoint = open_checkpoint(store(tmp_path, {"fine": VALUES, "blocks.3.bias": weight}, form))
    np.testing.assert_array_equal(checkpoint["fine"], VALUES.numpy())
    with pytest.raises(InputError, match=r"'blocks\.3\.bias'.*2 of 20 values"):
        checkpoint["blocks.3.bias"]


def test_a_float64_beyond_float32_counts_as_not_finite():
    with pytest.raises(InputError, match="1 of 2 values"):
        open_checkpoint({"weight": np.array([1e300, 1.0])})["weight"]


@pytest.mark.parametrize("form", ["torch", "torch-legacy", "memory"])
def test_shared_strided_and_expanded_tensors_become_arrays_of_their_own(tmp_path, form):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "base": base,
        "same": base,
        "row": base[1],
        "transposed": base.t(),
        "every other": base[::2, 1::3],
        "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 5),
        "scalar": torch.tensor(3.0),
        "empty": torch.ones(0, 4),
        "parameter": torch.nn.Parameter(base + 1),
    }
    checkpoint = open_checkpoint(store(tmp_path, tensors, form))
    arrays = {name: checkpoint[name] for name in checkpoint}
    for name, tensor in tensors.items():
        assert arrays[name].flags.c_contiguous
        assert arrays[name].flags.writeable
        np.testing.assert_array_equal(arrays[name], tensor.detach().numpy())
        arrays[name][...] = -1
    np.testing.assert_array_equal(base.numpy(), np.arange(24).reshape(4, 6))
    np.testing.assert_array_equal(checkpoint["base"], base.numpy())


def test_arrays_in_memory_are_copied_whatever_their_order_and_ends():
    source = {
        "c": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big": np.arange(6, dtype=">f4").reshape(2, 3),
        "scalar": np.float64(2.5),
    }
    checkpoint = open_checkpoint(source)
    for name, array in source.items():
        copy = checkpoint[name]
        assert not np.shares_memory(copy, array)
        assert copy.flags.c_contiguous
        assert copy.dtype == np.dtype("=f4")
        np.testing.assert_array_equal(copy, array)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_arrays_and_variables_of_the_keras_backend(dtype):
    expected = VALUES.to(getattr(torch, dtype)).to(torch.float32).numpy()
    source = {
        "array": keras.ops.cast(VALUES.numpy(), dtype),
        "variable": keras.Variable(VALUES.numpy(), dtype=dtype),
    }
    checkpoint = open_checkpoint(source)
    for name in source:
        assert checkpoint.dtype(name) == dtype
        np.testing.assert_array_equal(checkpoint[name], expected)


# Sources.


def test_a_torch_module_is_read_as_its_state_dict():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    checkpoint = open_checkpoint(model)
    assert checkpoint.names == tuple(model.state_dict())
    assert (checkpoint.format, checkpoint.path, checkpoint.sha256) == ("memory", None, None)
    np.testing.assert_array_equal(checkpoint["0.weight"], model[0].weight.detach().numpy())


def test_a_checkpoint_is_a_mapping_that_reads_nothing_by_itself(file):
    checkpoint = open_checkpoint(file)
    assert isinstance(checkpoint, Checkpoint)
    file.unlink()
    assert "weight" in checkpoint
    assert "bias" not in checkpoint
    assert list(checkpoint) == ["weight"]
    assert len(checkpoint) == 1
    assert checkpoint.shape("weight") == (2, 3)
    assert repr(str(file)) in repr(checkpoint)
    with pytest.raises(KeyError):
        checkpoint["bias"]
    with pytest.raises(InputError, match="can't be read"):
        checkpoint["weight"]


@pytest.mark.parametrize("form", ["torch", "torch-legacy", "safetensors"])
def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path, form):
    path = store(tmp_path, {"weight": VALUES}, form)
    checkpoint = open_checkpoint(path)
    other = store(tmp_path, {"weight": VALUES + 1}, form)
    os.utime(other, ns=(1, 1))
    with pytest.raises(InputError, match="changed after it was opened"):
        checkpoint["weight"]


@pytest.mark.parametrize("source", [3, [VALUES], VALUES, None, b"model.pth"])
def test_a_source_of_another_type_is_a_usage_error(source):
    with pytest.raises(UsageError, match=f"Received: {type(source).__name__}"):
        open_checkpoint(source)


def test_a_mapping_without_a_tensor_is_refused():
    with pytest.raises(InputError, match=r"no tensor in the weights in memory.*'epoch'"):
        open_checkpoint({"epoch": 3, "name": "x", "nothing": None})


def test_two_tensors_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"'model\.weight' twice"):
        open_checkpoint({"model": {"weight": VALUES}, "model.weight": VALUES})


def test_a_name_twice_in_a_safetensors_header_is_refused(tmp_path):
    entry = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"weight": {entry}, "weight": {entry}}}'.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match="'weight' twice"):
        open_checkpoint(path)


def test_a_safetensors_file_needs_no_torch(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    safetensors_numpy.save_file({"weight": VALUES.numpy()}, path)
    monkeypatch.setitem(sys.modules, "torch", None)
    np.testing.assert_array_equal(open_checkpoint(path)["weight"], VALUES.numpy())


def test_an_npz_whose_header_asks_for_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, weight=np.ones(1000, np.float32))
    with zipfile.ZipFile(path) as archive:
        member = archive.read("weight.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", member.replace(b"(1000,)", b"(9999,)"))
    with pytest.raises(InputError, match="does not fit its bytes"):
        open_checkpoint(path)


# Digests.


def test_the_digest_is_that_of_the_file(file):
    digest = file_sha256(file)
    assert len(digest) == 64
    assert open_checkpoint(file).sha256 == digest
    assert open_checkpoint(file, sha256=digest).sha256 == digest
    assert open_checkpoint(file, sha256=digest.upper()).sha256 == digest
    assert open_checkpoint(file, sha256_prefix=digest[:8].upper()).sha256 == digest
    assert open_checkpoint(str(file), sha256=digest, sha256_prefix=digest[:12]).sha256 == digest


def test_a_mismatch_shows_both_digests(file):
    digest = file_sha256(file)
    other = ("0" if digest[0] != "0" else "1") + digest[1:]
    for expected in ({"sha256": other}, {"sha256_prefix": other[:8]}):
        with pytest.raises(InputError) as caught:
            open_checkpoint(file, **expected)
        assert digest in str(caught.value)
        assert next(iter(expected.values())) in str(caught.value)


def test_a_malformed_digest_is_a_usage_error(file):
    digest = file_sha256(file)
    for expected in (
        {"sha256": digest[:63]},
        {"sha256": digest[:-1] + "g"},
        {"sha256": ""},
        {"sha256_prefix": digest[:7]},
        {"sha256": digest, "sha256_prefix": "0" * 16},
    ):
        with pytest.raises(UsageError, match="sha256"):
            open_checkpoint(file, **expected)
    with pytest.raises(UsageError, match="belongs to a file"):
        open_checkpoint({"weight": VALUES}, sha256=digest)


# Memory.

MEASURE = """
import pathlib, sys
import numpy, safetensors, torch
from kerasvit.conversion.files.checkpoint import open_checkpoint

def resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096

small, large = sys.argv[1:]
for array in open_checkpoint(small).values():  # imports and buffers are not what is measured
    pass
before = peak = resident()
checkpoint = open_checkpoint(large)
for name in checkpoint:
    array = checkpoint[name]
    peak = max(peak, resident())
    del array
print(peak - before)
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_reading_tensor_by_tensor_takes_far_less_memory_than_the_file(tmp_path, form):
    (tmp_path / "small").mkdir()
    small = store(tmp_path / "small", {"weight": VALUES}, form)
    tensors = {f"blocks.{index}.weight": torch.ones(1024, 1024) for index in range(50)}
    large = store(tmp_path, tensors, form)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)],
        capture_output=True,
        text=True,
        check=True,
    )
    size = large.stat().st_size
    assert size > 200e6
    growth = int(run.stdout.split()[-1])
    print(f"{form}: file {size / 2**20:.0f} MiB, resident memory grew by {growth / 2**20:.0f} MiB")
    assert growth < 0.6 * size
