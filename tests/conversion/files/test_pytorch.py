"""Pickles are read without running them: rows 4 to 6 of the fault table."""

import argparse
import collections
import contextlib
import datetime
import decimal
import fractions
import io
import pathlib
import pickle
import struct
import subprocess
import sys
import tarfile
import types
import uuid
import zipfile

import numpy as np
import pytest

from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.errors import InputError, UsageError

torch = pytest.importorskip("torch")

LEGACY_START = b"".join(
    pickle.dumps(item, protocol=2) for item in (0x1950A86A20F9469CFC6C, 1001, {})
)


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def payloads(canary):
    """Pickles that create the file `canary` when Python unpickles them, and the name to blame."""
    shell = text(f"touch {canary}")
    code = f"open({str(canary)!r}, 'w').close()"
    source = text(code)
    two, four = b"\x80\x02", b"\x80\x04"
    evaluate = name("builtins", "eval") + source + b"\x85R"
    set_state = b"}" + text("__setstate__") + name("builtins", "eval") + b"sb" + source + b"b."
    stacked = b"\x8c\x08builtins\x94\x8c\x04eval\x94\x93" + source + b"\x85R."
    return {
        "reduce": (two + name("posix", "system") + shell + b"\x85R.", "posix.system"),
        "eval": (two + evaluate + b".", "builtins.eval"),
        "exec": (two + name("builtins", "exec") + source + b"\x85R.", "builtins.exec"),
        "python 2 name": (two + name("__builtin__", "eval") + source + b"\x85R.", "eval"),
        "popen": (
            two
            + name("subprocess", "Popen")
            + b"]("
            + text("touch")
            + text(str(canary))
            + b"e\x85R.",
            "subprocess.Popen",
        ),
        "attribute of an imported module": (
            two
            + name("builtins", "getattr")
            + name("importlib", "import_module")
            + text("os")
            + b"\x85R"
            + text("system")
            + b"\x86R"
            + shell
            + b"\x85R.",
            "builtins.getattr",
        ),
        "inst": (two + b"(" + source + b"ibuiltins\neval\n.", "builtins.eval"),
        "obj": (two + b"(" + name("builtins", "eval") + source + b"o.", "builtins.eval"),
        "text protocol": (f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode(), "posix.system"),
        "stack global": (four + stacked, "builtins.eval"),
        "names from the memo": (
            four + b"\x8c\x04eval\x94\x8c\x08builtins\x9400h\x01h\x00\x93" + source + b"\x85R.",
            "builtins.eval",
        ),
        "dotted name": (
            four + b"\x8c\x02os\x8c\x0epath.os.system\x93" + shell + b"\x85R.",
            "os.path.os.system",
        ),
        "framed": (pickle.dumps(Payload(code), protocol=5), "builtins.exec"),
        "state of a dictionary": (
            two + name("collections", "OrderedDict") + b")R" + set_state,
            "builtins.eval",
        ),
        "state of a Namespace": (
            two + name("argparse", "Namespace") + b")\x81" + set_state,
            "builtins.eval",
        ),
        "attribute of a Namespace": (
            two + name("argparse", "Namespace") + b")\x81}" + text("args") + evaluate + b"sb.",
            "builtins.eval",
        ),
        "deep in containers": (
            two + b"}" + text("optimizer") + b"](" + b"}" + text("state") + evaluate + b"ses.",
            "builtins.eval",
        ),
        "key of a dictionary": (two + b"}" + evaluate + b"Ns.", "builtins.eval"),
        "result thrown away": (two + evaluate + b"0}.", "builtins.eval"),
        "standard library": (two + name("cProfile", "run") + source + b"\x85R.", "cProfile.run"),
        "torch itself": (
            two + name("torch.utils.collect_env", "run") + shell + b"\x85R.",
            "torch.utils.collect_env.run",
        ),
        "numpy itself": (
            two + name("numpy.testing._private.utils", "runstring") + source + b"}\x86R.",
            "runstring",
        ),
    }


class Payload:
    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


PAYLOADS = list(payloads(pathlib.Path("canary")))


def zipped(data, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


CONTAINERS = {
    "zip": zipped,
    "deflated zip": lambda data: zipped(data, zipfile.ZIP_DEFLATED),
    "legacy": lambda data: LEGACY_START + data + pickle.dumps([], protocol=2),
    "legacy, in place of its version": lambda data: LEGACY_START[:15] + data,
    "plain": lambda data: data,
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_payloads_do_run_where_nothing_stops_them(tmp_path, payload):
    canary = tmp_path / "canary"
    result = pickle.loads(payloads(canary)[payload][0])
    if isinstance(result, subprocess.Popen):
        result.wait()
    assert canary.exists()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_runs_and_the_error_names_it(tmp_path, payload, container):
    canary, path = tmp_path / "canary", tmp_path / "model.pth"
    data, culprit = payloads(canary)[payload]
    path.write_bytes(CONTAINERS[container](data))
    with pytest.raises(InputError) as caught:
        open_checkpoint(path)
    assert not canary.exists()
    assert culprit in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zip_format", [True, False])
def test_an_object_that_torch_saved_is_not_run(tmp_path, zip_format):
    canary, path = tmp_path / "canary", tmp_path / "model.pth"
    content = {"weight": torch.ones(3), "extra": Payload(f"open({str(canary)!r}, 'w').close()")}
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    with pytest.raises(InputError, match=r"exec") as caught:
        open_checkpoint(path)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)
    assert not canary.exists()


def test_a_tar_of_torch_before_0_1_10_is_not_run(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "model.pth"
    with tarfile.open(path, "w") as archive:
        for member in ("storages", "tensors", "pickle"):
            data = payloads(canary)["reduce"][0]
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with pytest.raises(InputError, match="tar archive"):
        open_checkpoint(path)
    assert not canary.exists()


def test_an_object_array_of_numpy_is_not_run(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "model.npz"
    code = f"open({str(canary)!r}, 'w').close()"
    np.savez(path, weight=np.ones(2), evil=np.array([Payload(code)], dtype=object))
    checkpoint = open_checkpoint(path)
    np.testing.assert_array_equal(checkpoint["weight"], np.ones(2))
    with pytest.raises(InputError, match="object"):
        checkpoint["evil"]
    assert not canary.exists()


OPEN_ALL = """
import pathlib, sys
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.errors import InputError
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pth")):
    try:
        open_checkpoint(path)
    except InputError:
        print("refused")
"""


@pytest.mark.timeout(180)
def test_the_environment_can_not_switch_the_safe_reader_off(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary = tmp_path / "canary"
    count = 0
    for data, _ in payloads(canary).values():
        for contain in CONTAINERS.values():
            (tmp_path / f"{count}.pth").write_bytes(contain(data))
            count += 1
    run = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["refused"] * count
    assert not canary.exists()


@pytest.mark.parametrize("zip_format", [True, False])
def test_the_namespace_of_dino_is_let_in_and_no_code_inside_it(tmp_path, zip_format):
    path = tmp_path / "full.pth"
    args = argparse.Namespace(arch="vit_small", lr=5e-4, sizes=[224, 96])
    content = {"teacher": {"norm.weight": torch.ones(4)}, "args": args}
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    assert open_checkpoint(path).names == ("teacher.norm.weight",)
    args.schedule = Payload("pass")
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    with pytest.raises(InputError, match="exec"):
        open_checkpoint(path)


class OwnPath(pathlib.PurePosixPath):
    """A subclass as universal_pathlib and others have it."""


class Settings:
    """What no table knows."""


HARMLESS = {
    "paths": [pathlib.PurePosixPath("out"), pathlib.Path("."), pathlib.PureWindowsPath("C:/x")],
    "a subclass of Path": OwnPath("out"),
    "dates": [
        datetime.datetime.now(tz=datetime.UTC),
        datetime.date.today(),
        datetime.timedelta(hours=2),
        datetime.time(3),
    ],
    "numbers of NumPy": {"best": np.float64(0.4), "epoch": np.int64(3), "done": np.bool_(True)},
    "text and dates of NumPy": [np.str_("a"), np.datetime64("2026-11-29")],
    "arrays of NumPy": [np.arange(6.0).reshape(2, 3), np.array(["a", "b"]), np.array([None])],
    "a structured array": np.zeros(2, [("a", "f4"), ("b", "i2")]),
    "a default dictionary": collections.defaultdict(list, {"loss": [1.0, 2.0]}),
    "one of dictionaries": collections.defaultdict(dict, {0: {"a": 1}}),
    "a queue": collections.deque([1, 2, 3], maxlen=4),
    "an ordered dictionary": collections.OrderedDict(top1=76.9),
    "a Namespace of all these": argparse.Namespace(
        out=pathlib.PurePosixPath("x"), best=np.float32(1)
    ),
    "a size": torch.Size([3, 4]),
    "a version of torch": torch.__version__,
    "the state of a generator": np.random.default_rng(0).bit_generator.state,
    "numbers of any length": [2**70, -(2**70), 1 + 2j],
    "sets": [{1, 2}, frozenset((3,)), slice(1, 2), range(3)],
    "odds and ends": [
        uuid.UUID(int=5),
        decimal.Decimal("0.1"),
        fractions.Fraction(1, 3),
        types.SimpleNamespace(a=1),
    ],
}


@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize("beside", HARMLESS)
def test_what_training_scripts_keep_beside_the_weights_is_no_obstacle(
    tmp_path, monkeypatch, beside, zip_format
):
    path = tmp_path / "model.pth"
    weight = torch.randn(3, 4)
    content = {"weight": weight, "beside": {"it": HARMLESS[beside]}, "last": HARMLESS[beside]}
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    monkeypatch.setattr(OwnPath, "__new__", _never)
    checkpoint = open_checkpoint(path)
    np.testing.assert_array_equal(checkpoint["weight"], weight.numpy())
    assert all(name in ("weight",) or "it" in name or "last" in name for name in checkpoint.names)


def _never(*arguments):
    raise AssertionError("a class of the file was made")


@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize("dtype", ["float32", ">f4", "float16", "float64"])
def test_weights_that_are_arrays_of_numpy(tmp_path, dtype, zip_format):
    path = tmp_path / "model.pth"
    weight = np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)
    content = {"weight": weight, "transposed": np.asfortranarray(weight)}
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    checkpoint = open_checkpoint(path)
    for name in content:
        np.testing.assert_array_equal(checkpoint[name], weight.astype("float32"))
        assert checkpoint[name].flags.owndata


def test_an_array_of_numpy_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    data = pickle.dumps({"weight": np.arange(5.0)}, protocol=2)
    path.write_bytes(zipped(data.replace(b"K\x05\x85", b"K\x06\x85")))
    with pytest.raises(InputError, match="damaged or unsafe"):
        open_checkpoint(path)


def test_a_class_that_no_table_knows_is_refused_by_its_name(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(2), "settings": Settings(), "out": pathlib.Path("x")}, path)
    with pytest.raises(InputError, match=r"Settings") as caught:
        open_checkpoint(path)
    assert "Path" not in str(caught.value).partition("Received")[2].replace(str(path), "")


def test_the_allow_list_is_as_before_afterwards(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    path = tmp_path / "model.pth"
    for content in ({"weight": torch.ones(2)}, Payload("")):
        torch.save(content, path)
        with contextlib.suppress(InputError):
            open_checkpoint(path)
        assert set(torch.serialization.get_safe_globals()) == before


def test_what_is_on_top_must_be_a_state_dict(tmp_path):
    path = tmp_path / "model.pth"
    for content, found in (
        ([torch.ones(2)], "found list"),
        (torch.ones(2, 3), r"found one tensor of shape \(2, 3\)"),
        ("weights", "found str"),
        (torch.nn.Linear(2, 3), r"found torch\.nn\.modules\.linear\.Linear"),
        ({"epoch": 3}, "no tensor .*'epoch'"),
        ({}, "no tensor .*an empty mapping"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=found):
            open_checkpoint(path)


def test_a_whole_model_in_the_old_format_is_refused_by_its_class(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 3), path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.linear\.Linear"):
        open_checkpoint(path)


def test_a_compressed_archive_reads_the_same_values(tmp_path):
    # Mapped into memory, a compressed member would be read as if it were the tensor.
    stored, packed = tmp_path / "stored.pth", tmp_path / "packed.pth"
    weight = torch.arange(1000.0)
    torch.save({"weight": weight}, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(packed, "w") as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info), zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(open_checkpoint(packed)["weight"], weight.numpy())


def test_a_mapping_that_contains_itself_ends(tmp_path):
    path = tmp_path / "model.pth"
    content = {"weight": torch.ones(2)}
    content.update({f"again{index}": content for index in range(4)})
    torch.save(content, path)
    with pytest.raises(InputError, match="too many entries"):
        open_checkpoint(path)


def test_names_equal_as_text_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({1: torch.ones(2), "1": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"same name.*'1'"):
        open_checkpoint(path)


def test_optimizer_state_with_numbers_as_names_is_no_obstacle(tmp_path):
    path = tmp_path / "model.pth"
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    content["metrics"] = collections.OrderedDict(top1=76.9)
    torch.save(content, path)
    checkpoint = open_checkpoint(path)
    np.testing.assert_array_equal(checkpoint["model.bias"], model.bias.detach().numpy())


def test_without_torch_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(2)}, path)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r'pip install "kerasvit\[convert\]"'):
        open_checkpoint(path)


@pytest.mark.parametrize("version", ["2.5.1", "2.9.1+cu128", "unknown"])
def test_a_torch_whose_safe_reader_has_holes_is_refused(tmp_path, monkeypatch, version):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(2)}, path)
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(UsageError, match=r"2\.10 or later"):
        open_checkpoint(path)
