"""Readers of weights and arrays: checkpoints, `.keras` files, saliency maps, states of a run."""

import functools
import io
import json

import numpy as np
from mutating import damaged, damaged_archive, damaged_safetensors, damaged_text, members_of, zipped
from running import Reader


def _state():
    draw = np.random.default_rng(0)
    shapes = {"cls_token": (1, 1, 4), "head.weight": (2, 4), "head.bias": (2,), "empty": (0, 3)}
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _tensors():
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in _state().items()}
    tensors["half"], tensors["brain"] = torch.ones(3).half(), torch.ones(2).bfloat16()
    return tensors


def _saved(content, **options):
    import torch

    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _reading(folder, name):
    from kerasvit.conversion.files.checkpoint import open_checkpoint

    path = folder / name

    def read(data):
        path.write_bytes(data)
        checkpoint = open_checkpoint(path)
        for tensor in checkpoint:
            array = checkpoint[tensor]
            assert array.dtype == np.float32, "another type"
            assert array.shape == checkpoint.shape(tensor), "another shape"
            assert np.isfinite(array).all(), "a number that is not finite"
            # float32 of what are at least eight bits.
            assert array.nbytes <= max(2**26, 20 * len(data)), "more than the file holds"

    return read


def _pth(folder):
    seeds = [_saved(_tensors()), _saved({"model": _tensors(), "epoch": 3, "args": {"lr": 0.1}})]
    return Reader(seeds, damaged_archive, _reading(folder, "x.pth"))


def _legacy(folder):
    old = {"_use_new_zipfile_serialization": False}
    seeds = [_saved(_tensors(), **old), _saved({"model": _tensors(), "epoch": 3}, **old)]
    return Reader(seeds, damaged, _reading(folder, "x.pth"))


def _safetensors(folder):
    from safetensors.torch import save

    seeds = [save(_tensors()), save(_tensors(), {"format": "pt"})]
    return Reader(seeds, damaged_safetensors, _reading(folder, "x.safetensors"))


def _index(folder):
    from safetensors.torch import save

    tensors, names = _tensors(), ("a.safetensors", "b.safetensors")
    shards = [dict(list(tensors.items())[:3]), dict(list(tensors.items())[3:])]
    for name, shard in zip(names, shards, strict=True):
        (folder / name).write_bytes(save(shard))
    of = {one: name for name, shard in zip(names, shards, strict=True) for one in shard}
    seed = json.dumps({"metadata": {"total_size": 100}, "weight_map": of}, indent=1).encode()
    return Reader([seed], damaged_text, _reading(folder, "x.safetensors.index.json"))


def _npz(folder):
    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **_state(), double=np.arange(3.0))
        seeds.append(file.getvalue())
    return Reader(seeds, damaged_archive, _reading(folder, "x.npz"))


def _checksums(folder):
    """Archives damaged as they are: what is read all the same is what was written."""
    reads = [(_saved(_tensors()), "x.pth"), (_npz(folder).seeds[0], "x.npz")]

    def read(data):
        from kerasvit.conversion.files.checkpoint import open_checkpoint

        name = "x.pth" if b"data.pkl" in data else "x.npz"
        (folder / name).write_bytes(data)
        checkpoint = open_checkpoint(folder / name)
        for tensor, array in _state().items():
            assert np.array_equal(checkpoint[tensor], array), "other values than were written"

    def change(draw, seeds):
        return damaged(draw, [draw.choice(seeds)])

    return Reader([data for data, _ in reads], change, read)


@functools.cache
def tiny_models():
    """Return two small models."""
    import kerasvit

    record = {
        "class_names": ["cat", "dog", "owl"],
        "preprocessing": {
            **{"image_size": [16, 16], "crop_fraction": 1.0, "crop_mode": "center"},
            **{"interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3},
        },
    }
    sizes = {"image_shape": (16, 16, 3), "patch_size": 8, "hidden_dim": 4, "num_heads": 2}
    sizes |= {"mlp_dim": 4, "num_layers": 1, "num_classes": 3, "record": record}
    return kerasvit.VisionTransformer(**sizes), kerasvit.CaiT(**sizes, num_class_layers=1)


def keras_files(folder):
    """Return the bytes of `.keras` files."""
    files = []
    for number, model in enumerate(tiny_models()):
        path = folder / f"seed{number}.keras"
        model.save(path)
        files.append(path.read_bytes())
    return files


def _keras(folder):
    from kerasvit.pretrained import load

    path = folder / "x.keras"

    def read(data):
        path.write_bytes(data)
        model = load(path)
        for weight in model.weights:
            values = np.asarray(weight.value.detach())
            assert values.shape == tuple(weight.shape), "another shape"
            assert np.isfinite(values).all(), "a number that is not finite"

    return Reader(keras_files(folder), damaged_archive, read)


def _hdf5(folder):
    """The arrays inside a `.keras` file, with the right checksum of the archive."""
    whole = _keras(folder)
    members = members_of(whole.seeds[0])
    weights = members.pop("model.weights.h5")

    def change(draw, seeds):
        return zipped([*members.items(), ("model.weights.h5", damaged(draw, seeds))])

    return Reader([weights], change, whole.read, are_good=False)


def _config(folder):
    """The config inside a `.keras` file."""
    whole = _keras(folder)
    members = members_of(whole.seeds[0])
    config = members.pop("config.json")

    def change(draw, seeds):
        return zipped([("config.json", damaged_text(draw, seeds)), *members.items()])

    return Reader([config], change, whole.read, are_good=False)


def _header(data):
    """Return an archive with a saliency map's header, and the text of it."""
    members = members_of(data)
    return members, str(np.load(io.BytesIO(members.pop("header.npy")))).encode()


def _saliency(folder):
    from kerasvit.saliency import SaliencyMap, explain

    pixels = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    explain(tiny_models()[0], pixels, "rollout").save_npz(folder / "seed.npz")
    seed, path = (folder / "seed.npz").read_bytes(), folder / "x.npz"

    def change(draw, seeds):
        if draw.random() < 0.5:
            return damaged_archive(draw, seeds)
        members, text = _header(seeds[0])
        file = io.BytesIO()
        np.save(file, np.array(damaged_text(draw, [text]).decode("utf-8", "replace")))
        return zipped([*members.items(), ("header.npy", file.getvalue())])

    def read(data):
        path.write_bytes(data)
        saliency = SaliencyMap.load_npz(path)
        assert len(repr(saliency)) < 10**5
        for number in range(min(3, len(saliency))):
            saliency.select(number).normalise()
        saliency.mask()
        saliency.upsample()

    return Reader([seed], change, read)


def _states(folder):
    import keras

    from kerasvit.training.run.checkpoints import read_meta, restore_state, save_state
    from kerasvit.training.run.generators import generator_states

    model = tiny_models()[0]
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    save_state(folder / "seed.npz", model, {"step": 1}, generator_states())
    path = folder / "x.npz"

    def read(data):
        path.write_bytes(data)
        read_meta(path)
        restore_state(path, model)
        assert all(tuple(w.value.shape) == tuple(w.shape) for w in model.weights), "another shape"

    return Reader([(folder / "seed.npz").read_bytes()], damaged_archive, read)


READERS = {
    "pth": _pth,
    "pth-legacy": _legacy,
    "safetensors": _safetensors,
    "index": _index,
    "npz": _npz,
    "checksums": _checksums,
    "keras": _keras,
    "hdf5": _hdf5,
    "config": _config,
    "saliency": _saliency,
    "state": _states,
}
