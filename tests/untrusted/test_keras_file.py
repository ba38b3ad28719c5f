"""`.keras` files of strangers: refused with one line, before they cost time or memory."""

import copy
import io
import json
import resource
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from breadth import spread
from costs import cost_of_refusing

from kerasvit.errors import InputError
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.pretrained import load

TINY = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "hidden_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": 12,
    "num_classes": 3,
}
RECORD = {
    "class_names": ["cat", "dog", "no\x1b[2Jwl"],
    "preprocessing": {
        **{"image_size": [16, 24], "crop_fraction": 1.0, "crop_mode": "center"},
        **{"interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3},
    },
}


def randomised(model):
    generator = np.random.default_rng(7)
    for weight in model.weights:
        weight.assign(generator.normal(size=weight.shape).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a good file, by name."""
    path = tmp_path_factory.mktemp("good") / "vit.keras"
    randomised(VisionTransformer(**TINY, record=RECORD)).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_config(members, change):
    config = json.loads(members["config.json"])
    change(config)
    return {**members, "config.json": json.dumps(config)}


def with_weights(members, change):
    file = io.BytesIO(members["model.weights.h5"])
    with h5py.File(file, "a") as weights:
        change(weights)
    return {**members, "model.weights.h5": file.getvalue()}


def replace(weights, value, name="head/vars/1"):
    del weights[name]
    weights[name] = value


def assert_refused(path, match):
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    # Generous: the machine may be busy; what these files asked for was minutes and gigabytes.
    assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    return str(caught.value)


def test_a_good_file_is_loaded_stored_or_packed(members, tmp_path):
    stored, packed = (
        load(write(tmp_path / f"{method}.keras", members, method))
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    )
    assert stored.record == RECORD
    for one, other in zip(stored.weights, packed.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))


@pytest.mark.parametrize(
    "make", [lambda weights: np.complex64([1, 2j, 3]), lambda weights: np.array([b"a", b"b", b"c"])]
)
def test_weights_are_real_numbers(members, tmp_path, make):
    changed = with_weights(members, lambda weights: replace(weights, make(weights)))
    assert "head" in assert_refused(write(tmp_path / "x.keras", changed), "real numbers")


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_weights_are_finite(members, tmp_path, bad):
    value = np.array([0, bad, 1], np.float64)
    changed = with_weights(members, lambda weights: replace(weights, value))
    assert "head/bias" in assert_refused(write(tmp_path / "x.keras", changed), "no finite numbers")


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_layers": 10**6},
        {"num_registers": 10**9},
        {"hidden_dim": 2**40, "num_heads": 1},
        {"mlp_dim": 10**12},
        {"num_classes": 10**9},
        {"image_shape": [10**9, 10**9, 3]},
        {"image_shape": [60000, 60000, 3]},
        {"patch_size": [10**9, 1]},
        {"head_blocks": 10**9},
        {"num_layers": 3},
        {"num_classes": 0},
        {"hidden_dim": 16},
        {"num_layers": "two"},
        {"num_heads": 3},
        {"no_such_argument": 1},
        {"activation": {"class_name": "Lambda", "module": "keras.layers", "config": {}}},
        {"attention_blocks": list(range(100_000))},
    ],
    ids=lambda arguments: next(f"{name}={str(value)[:12]}" for name, value in arguments.items()),
)
def test_a_config_describes_the_arrays_that_are_there(members, tmp_path, arguments):
    changed = with_config(members, lambda config: config["config"].update(arguments))
    assert_refused(write(tmp_path / "x.keras", changed), "Received")


@pytest.mark.parametrize(
    "record",
    [
        ["a list"],
        {"class_names": 7},
        {"class_names": ["cat", 7, None]},
        {"preprocessing": "center"},
        {"preprocessing": {**RECORD["preprocessing"], "image_size": [True, 32]}},
        {"preprocessing": {**RECORD["preprocessing"], "mean": ["a", "b", "c"]}},
        {"preprocessing": {"image_size": [16, 24]}},
        {"source": 5},
        {"source": {"file": {}}},
        {"release": {}},
        {"licence": 3},
        {"parity": {"logits": "small", "scores": []}},
        {"facts": {"num_heads": 3}},
    ],
    ids=lambda record: str(record)[:30],
)
def test_a_record_of_other_types_is_bad_input(members, tmp_path, record):
    changed = with_config(members, lambda config: config["config"].update(record=record))
    assert_refused(write(tmp_path / "x.keras", changed), "record")


@pytest.mark.parametrize(
    "dtype",
    [
        {"module": "builtins", "class_name": "exec", "config": {}, "registered_name": None},
        {"module": "keras", "class_name": "get", "config": {}, "registered_name": None},
        {
            **{"module": "keras", "class_name": "DTypePolicy", "registered_name": None},
            "config": {"name": {"module": "keras.layers", "class_name": "Lambda", "config": {}}},
        },
        {
            **{"module": "keras", "class_name": "DTypePolicy", "registered_name": "a>b"},
            "config": {"name": "float32"},
        },
        17,
        ["float32"],
    ],
    ids=range(6),
)
def test_the_one_object_of_a_config_is_a_policy(members, tmp_path, dtype):
    changed = with_config(members, lambda config: config["config"].update(dtype=dtype))
    assert_refused(write(tmp_path / "x.keras", changed), "cannot be loaded|another kind")


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(registered_name="keras.layers>Dense", class_name="Dense"),
        lambda config: config.update(registered_name=None),
        lambda config: config.update(registered_name=["kerasvit>CaiT"]),
        lambda config: config.update(config=None),
        lambda config: config.update(more=1),
    ],
    ids=range(5),
)
def test_only_our_own_classes_are_made(members, tmp_path, change):
    assert_refused(write(tmp_path / "x.keras", with_config(members, change)), "Received")


def _long_config(members):
    return {**members, "config.json": members["config.json"] + b" " * (9 * 2**20)}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda members: {**members, "model.weights.h5": bytes(2**28)}, "more memory"),
        (_long_config, "too long"),
        (lambda members: {**members, "config.json": b"[" * 100_000}, "nested"),
        (lambda members: {**members, "config.json": b'{"a": 1' + b"0" * 5000 + b"}"}, "digits"),
        (lambda members: {**members, "config.json": b'{"a": 1, "a": 2}'}, "twice"),
        (lambda members: {**members, "assets/x": b"1"}, "members"),
        (lambda members: {"config.json": members["config.json"]}, "members"),
        (lambda members: {**members, "model.weights.h5": b"no HDF5"}, "cannot be loaded"),
    ],
    ids=range(8),
)
def test_an_archive_holds_three_members_of_their_size(members, tmp_path, make, match):
    path = write(tmp_path / "x.keras", make(members), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 5 * 2**20
    assert_refused(path, match)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_stands_once(members, tmp_path):
    path = write(tmp_path / "x.keras", members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", members["config.json"])
    assert_refused(path, "two members of one name")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_are_packed_in_a_way_whose_steps_are_bounded(members, tmp_path, method):
    assert_refused(write(tmp_path / "x.keras", members, method), "packed in another way")


def _nested(weights):
    group = weights["layers"]
    for _ in range(2000):
        group = group.create_group("a")


def _sparse(weights):
    weights.create_dataset("layers/more/vars/0", shape=(2**34,), dtype="f4")


def _packed(weights):
    weights.create_dataset(
        "layers/more/vars/0", data=np.zeros(2**24, np.float32), compression="gzip"
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_nested, "depth"),
        (_sparse, "not all in the file"),
        (_packed, "not all in the file"),
        (lambda weights: replace(weights, h5py.SoftLink("/head/vars/0")), "link"),
        (lambda weights: replace(weights, h5py.ExternalLink("/etc/passwd", "/x")), "link"),
        (lambda weights: replace(weights, weights["head/vars/0"]), "more|fewer"),
        (lambda weights: replace(weights, np.zeros((3, 1), np.float32)), "more"),
        (lambda weights: weights.create_dataset("layers/more/vars/0", data=[1.0]), "more"),
        (lambda weights: weights.pop("head"), "fewer"),
        (lambda weights: replace(weights, h5py.Empty("f4")), "real numbers"),
    ],
    ids=range(10),
)
def test_the_arrays_are_those_of_the_model_and_lie_in_the_file(members, tmp_path, change, match):
    assert_refused(write(tmp_path / "x.keras", with_weights(members, change)), match)


def test_a_damaged_byte_is_noticed(members, tmp_path):
    path = write(tmp_path / "x.keras", members)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert_refused(path, "cannot be loaded|another model")


def _train(model):
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES, np.array([0, 2]), verbose=0)


IMAGES = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype(np.float32)
PREPARED = {
    "compiled": _train,
    "lora": lambda model: model.blocks[0].attention.qkv.enable_lora(2),
    "mixed": lambda model: None,
    "int8": lambda model: model.quantize("int8"),
}


@pytest.mark.parametrize("name", spread(PREPARED, PREPARED, on_backends=["compiled"]))
@pytest.mark.filterwarnings("ignore:Layer .* does not have a")
def test_what_users_save_is_loaded(tmp_path, name):
    model = randomised(CaiT(**TINY, num_class_layers=1))
    config = copy.deepcopy(model.get_config())
    new = CaiT(**{**config, "dtype": "mixed_bfloat16"} if name == "mixed" else config)
    new.set_weights(model.get_weights())
    PREPARED[name](new)
    path = tmp_path / f"{name}.keras"
    new.save(path)
    expected = keras.ops.convert_to_numpy(new(IMAGES)[0])
    loaded = keras.ops.convert_to_numpy(load(path)(IMAGES)[0])
    np.testing.assert_allclose(loaded, expected, rtol=1e-4, atol=1e-4)


def test_a_subclass_that_its_user_registered_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("test_keras_file")
    class Mine(VisionTransformer):
        pass

    randomised(Mine(**TINY)).save(tmp_path / "mine.keras")
    assert type(load(tmp_path / "mine.keras")) is Mine


def test_memory_and_time_of_a_process_that_reads_bombs(members, tmp_path):
    """All at once in a process of its own, where nothing else is counted."""
    padded = tmp_path / "padded.keras"
    with zipfile.ZipFile(padded, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            with archive.open(name, "w") as member:
                member.write(data)
                for _ in range(1024 if name.endswith("h5") else 0):
                    member.write(bytes(2**20))
    paths = [padded, write(tmp_path / "sparse.keras", with_weights(members, _sparse))]
    for name in ("num_registers", "num_layers", "num_classes"):
        changed = with_config(members, lambda c, name=name: c["config"].update({name: 10**9}))
        paths.append(write(tmp_path / f"{name}.keras", changed))
    figures = cost_of_refusing(paths, "kerasvit.pretrained.load")
    assert figures["accepted"] == []
    assert figures["megabytes"] < 1024
    assert figures["seconds"] < 5
