"""Checkpoints of strangers that ask for more than they have: each reader, each kind of bomb."""

import collections
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from costs import cost_of_refusing

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")


def _packed(source, target):
    """Write an archive of torch.save again, each member packed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            with old.open(info) as member, new.open(info.filename, "w") as packed:
                while data := member.read(2**20):
                    packed.write(data)
    return target


def _zeros_pth(path, megabytes):
    import torch

    plain = path.with_suffix(".plain")
    torch.save({"weight": torch.zeros(megabytes * 2**18)}, plain)
    _packed(plain, path)
    plain.unlink()


def _zeros_npz(path, megabytes):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("weight.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (megabytes * 2**18,)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(megabytes):
            member.write(bytes(2**20))


def _strides(path, megabytes):
    import torch

    side = megabytes * 2**20
    torch.save({"weight": torch.zeros(1).expand(side, 1000), "other": torch.zeros(90_000)}, path)


def _meta(path, megabytes):
    import torch

    torch.save({"weight": torch.empty(megabytes * 2**20, 1000, device="meta")}, path)


def _legacy(path, megabytes):
    import torch

    state = {"weight": torch.zeros(1).expand(megabytes * 2**20, 1000)}
    torch.save(state, path, _use_new_zipfile_serialization=False)


class _Buffer:
    def __init__(self, size):
        self.size = size

    def __reduce__(self):
        return bytearray, (self.size,)


def _with_pickle(path, data):
    """Write an archive of torch.save whose pickle is replaced."""
    import torch

    good = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, good)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("data.pkl") else old.read(name))


def _buffer(path, megabytes):
    _with_pickle(path, pickle.dumps({"rng": _Buffer(megabytes * 2**20)}, 2))


def _sets(path, megabytes):
    _with_pickle(path, b"\x80\x02" + b"]" * (megabytes * 2**16) + b".")


def _long_pickle(path, megabytes):
    _with_pickle(path, b"\x80\x02" + b"]" * (100 * 2**20) + b".")


def _lists(path, megabytes):
    value = [1] * 1000
    for _ in range(6):
        value = [value] * 1000
    import torch

    torch.save({"weight": torch.zeros(3), "args": value}, path)


def _safetensors(path, header):
    text = header.encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def _one_name(path, megabytes):
    entry = '"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    _safetensors(path, "{" + ",".join([entry] * 20_000) + "}")


def _many_tensors(path, megabytes):
    entries = (
        f'"{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
        for number in range(700_000)
    )
    _safetensors(path, "{" + ",".join(entries) + "}")


def _index(path, megabytes):
    path.write_text(json.dumps({"weight_map": {f"w{n}": f"{n}.safetensors" for n in range(10**5)}}))


def _deep_index(path, megabytes):
    path.write_text('{"weight_map":' * 100_000)


# Name of the file, and what makes it.
BOMBS = {
    "packed.pth": _zeros_pth,
    "packed.npz": _zeros_npz,
    "strides.pth": _strides,
    "meta.pth": _meta,
    "legacy.pth": _legacy,
    "buffer.pth": _buffer,
    "steps.pth": _sets,
    "pickle.pth": _long_pickle,
    "names.safetensors": _one_name,
    "many.safetensors": _many_tensors,
    "shards.safetensors.index.json": _index,
    "deep.safetensors.index.json": _deep_index,
}


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in BOMBS.items():
        make(folder / name, 100)
    return folder


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_line(bombs, name):
    with pytest.raises(InputError) as caught:
        open_checkpoint(bombs / name)
    assert "\n" not in str(caught.value)
    assert repr(str(bombs / name)) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_memory_and_time_of_a_process_that_refuses_them(tmp_path):
    paths = []
    for name, make in BOMBS.items():
        paths.append(tmp_path / name)
        make(paths[-1], 200)
    paths = [path for path in paths if path.stat().st_size < 5 * 2**20]
    assert len(paths) >= 10
    figures = cost_of_refusing(paths, "kerasvit.conversion.files.checkpoint.open_checkpoint")
    assert figures["accepted"] == []
    assert figures["megabytes"] < 1024
    # Of all of them together; and the import of PyTorch.
    assert figures["seconds"] < 5 * len(paths)


def test_lists_of_lists_of_lists_are_left_out(tmp_path):
    _lists(tmp_path / "x.pth", 1)
    assert open_checkpoint(tmp_path / "x.pth").names == ("weight",)


@pytest.mark.parametrize("share", [1, 0.1])
def test_ordinary_files_are_read(tmp_path, share):
    """A few zeros, an expanded tensor, a packed archive: as training scripts write them."""
    import torch

    weights = torch.randn(100, 1000) * (torch.rand(100, 1000) < share)
    state = collections.OrderedDict(weight=weights, expanded=torch.randn(1, 5).expand(300, 5))
    torch.save(state, tmp_path / "x.pth")
    _packed(tmp_path / "x.pth", tmp_path / "packed.pth")
    np.savez_compressed(tmp_path / "x.npz", **{k: v.numpy() for k, v in state.items()})
    for name in ("x.pth", "packed.pth", "x.npz"):
        checkpoint = open_checkpoint(tmp_path / name)
        for key, value in state.items():
            np.testing.assert_array_equal(checkpoint[key], value.numpy())


def test_members_that_lie_over_one_another_are_refused(tmp_path):
    """The same bytes under many names, as overlapping bombs have them."""
    np.savez(tmp_path / "x.npz", a=np.random.default_rng(0).normal(size=1000))
    data = (tmp_path / "x.npz").read_bytes()
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    entries = b"".join(entry.replace(b"a.npy", b"%c.npy" % (97 + n)) for n in range(5))
    counts = struct.pack("<HHII", 5, 5, len(entries), start)
    (tmp_path / "x.npz").write_bytes(data[:start] + entries + end[:8] + counts + end[20:])
    with pytest.raises(InputError):
        open_checkpoint(tmp_path / "x.npz")


def test_the_environment_of_these_tests_is_that_of_a_user():
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
