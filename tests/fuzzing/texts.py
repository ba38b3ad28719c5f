"""Readers of texts: recipes, names and addresses, tables of labels, configs, manifests."""

import json
import pathlib

from mutating import damaged_text
from running import Reader


def _recipes(folder):
    from kerasvit.training.recipe.reading import list_recipes, read_recipe

    configs = pathlib.Path(__file__).parents[2] / "configs"
    seeds = [(configs / f"{name}.toml").read_bytes() for name in list_recipes()]
    path = folder / "x.toml"

    def read(data):
        path.write_bytes(data)
        read_recipe(path)

    return Reader(seeds, damaged_text, read)


def _changes(folder):
    """Values of `--set`."""
    from kerasvit.training.recipe.reading import list_recipes, read_recipe

    seeds = [
        *(b"optimizer.learning_rate=0.001", b"model.arguments.num_layers=2", b"run.seed=3"),
        *(
            b"augmentation.mixup=0.2",
            b"schedule.epochs=7",
            b"model.name=vit_tiny",
            b"data.path='x'",
        ),
    ]
    name = list_recipes()[0]

    def read(data):
        read_recipe(name, [data.decode("utf-8", "replace")])

    return Reader(seeds, damaged_text, read, are_good=False)


def _names(folder):
    """Releases, addresses and files, as `from_pretrained` and `convert` take them, offline."""
    from kerasvit.conversion.sources.addresses import file_name, is_allowed, shown
    from kerasvit.pretrained import from_pretrained

    seeds = [
        *(b"cait_xxs24_224.fb_dist_in1k", b"dino_vits8", b"hf://google/vit@main/model.safetensors"),
        *(b"https://example.org/a/b.pth?x=1#y", b"http://user:word@[::1]:80/x.npz", b"x/y.keras"),
        *(b"hf://a/b", b"https://127.0.0.1/x.pth", b"vit_small_patch16_224.dino", b"ftp://x/y"),
    ]

    def read(data):
        text = data.decode("utf-8", "replace")
        # What is there under a name made at random is no matter of this reader.
        assert not pathlib.Path(text[:200]).is_absolute() or "://" in text or _refuse()
        if is_allowed(text):
            assert "/" not in file_name(text), "a name that leads elsewhere"
            assert "@" not in shown(text).split("/")[2], "a password is shown"
        from_pretrained(text)

    return Reader(seeds, damaged_text, read, are_good=False)


def _refuse():
    from kerasvit.errors import InputError

    raise InputError("an absolute path")


def _labels(folder):
    from kerasvit.training.data.label_table import read_label_table

    for name in ("a.png", "b.png", "c d.png"):
        (folder / name).write_bytes(b"")
    seeds = [b"file,cat,dog\na.png,1,0\nb.png,0,1\n", b'file,"x,y"\r\n"c d.png",1\r\na.png, 0\r\n']
    path = folder / "x.csv"

    def read(data):
        path.write_bytes(data)
        table = read_label_table(path, folder)
        assert table.labels.shape == (len(table.paths), len(table.class_names))
        assert set(table.labels.ravel().tolist()) <= {0, 1}

    return Reader(seeds, damaged_text, read)


def _manifest(number):
    shard = {"number": number, "count": 2, "own": 1, "pictures": 2, "listing": "abc"}
    entry = {"file": f"{number}.png", "map": f"{number}.npz", "seconds": 0.1}
    facts = {"model": {"name": "vit", "sha256": "0"}, "settings": {"method": "rollout"}}
    return {**facts, "shard": shard, "pictures": [entry], "started": "2025", "earlier": []}


def _manifests(folder):
    import kerasvit
    from kerasvit.look.records.manifest import FORMAT
    from kerasvit.look.records.merging import merge_manifests

    begin = {"format": FORMAT, "version": kerasvit.__version__}
    texts = [json.dumps({**begin, **_manifest(number)}, indent=1).encode() for number in (1, 2)]
    (folder / "manifest.2-of-2.json").write_bytes(texts[1])
    merged, first = folder / "manifest.json", folder / "manifest.1-of-2.json"
    first.write_bytes(texts[0])
    merge_manifests(folder)
    seeds = [texts[0], merged.read_bytes()]

    def read(data):
        # A good first shard and a damaged whole, or the other way round.
        is_shard = b'"shard"' in data
        first.write_bytes(data if is_shard else texts[0])
        merged.unlink(missing_ok=True) if is_shard else merged.write_bytes(data)
        merge_manifests(folder)

    return Reader(seeds, damaged_text, read)


def _configs(folder):
    """The configs beside a checkpoint: transformers', timm's, and how pictures are made."""
    from kerasvit.conversion.facts.beside import CONFIG, PREPROCESSOR, read_configs

    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}
    sizes |= {"intermediate_size": 12, "image_size": 16, "hidden_act": "gelu", "qkv_bias": True}
    labels = {"id2label": {"0": "cat", "1": "dog"}, "layer_norm_eps": 1e-6}
    timm = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9}
    seeds = [
        {"model_type": "vit", **sizes, **labels},
        {"model_type": "dinov2", **sizes, **labels, "num_register_tokens": 2, "mlp_ratio": 4},
        {"model_type": "clip", "vision_config": sizes, "projection_dim": 4},
        {"architecture": "vit_tiny_patch16_224", "num_classes": 3, "pretrained_cfg": timm},
        {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 16, "width": 16}},
    ]
    (folder / CONFIG).write_text(json.dumps(seeds[0]))

    def read(data):
        is_preprocessor = b"image_" in data and b"hidden" not in data
        config = json.dumps(seeds[0]).encode() if is_preprocessor else data
        (folder / CONFIG).write_bytes(config)
        (folder / PREPROCESSOR).write_bytes(data if is_preprocessor else b"{}")
        assert isinstance(read_configs(folder / "x.pth").model, str | None), "a name that is none"

    return Reader([json.dumps(seed, indent=1).encode() for seed in seeds], damaged_text, read)


READERS = {
    "recipes": _recipes,
    "changes": _changes,
    "names": _names,
    "labels": _labels,
    "manifests": _manifests,
    "configs": _configs,
}
