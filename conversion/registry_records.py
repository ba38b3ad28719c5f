"""Write the release records of timm's pretrained tags from its registry.

    python -m kerasvit.conversion.registry_records [--check]

Everything written is a fact of the registry (`timm.models.get_pretrained_cfg`) or counted on a
model that timm builds on PyTorch's meta device, without memory. About two minutes.
"""

import argparse
import functools
import importlib.resources
import json
import pathlib
import re
import sys
import types
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.proof.timm.package import import_timm
from kerasvit.files import atomic_path

MODULES = {
    "vit.toml": "vision_transformer",
    "deit.toml": "deit",
    "cait.toml": "cait",
    "beit.toml": "beit",
    "xcit.toml": "xcit",
    "eva.toml": "eva",
}

_HEADER = """\
# Release records of all pretrained tags of timm {version}'s module `{module}`.
# Written by: python -m kerasvit.conversion.registry_records. Do not edit.
# Facts of timm's registry (Apache-2.0, https://github.com/huggingface/pytorch-image-models).

[defaults]
layout = "timm"
"""
# Where the file at a URL comes from tells how its tensors are named.
_URL_LAYOUTS = (
    (r".*/big_vision/.*\.npz", "big_vision"),
    (r".*\.npz", "augreg"),
    (r".*/dino/.*", "dino"),
    (r".*/dinov2/.*", "dinov2"),
    (r".*/deit/deit_3_.*", "deit3"),
    (r".*/deit/deit_.*", "deit"),
    (r".*/deit/.*", "cait"),
    (r".*/xcit/.*", "xcit"),
    (r".*/ijepa/.*", "ijepa"),
    (r".*", "timm"),
)
_STATISTICS = {0.0: "unit", 0.43: "sat", 0.485: "imagenet", 0.48145466: "clip", 0.5: "half"}


def file_text(file: str, timm: types.ModuleType, count: Callable[[str], int] | None = None) -> str:
    """Return the contents of one file of records.

    Args:
        file: a key of `MODULES`, such as "cait.toml".
        timm: the timm module.
        count: number of parameters of the model of a tag; counted on the meta device if None.
    """
    module = MODULES[file]
    count = count or functools.partial(count_parameters, timm)
    profiles: dict[str, dict] = {}
    releases = []
    for name in timm.list_models(module=module, pretrained=True):
        config = timm.models.get_pretrained_cfg(name)
        profile = _preprocessing(config)
        key = _profile_name(profile)
        if profiles.setdefault(key, profile) != profile:
            raise ValueError(f"Two ways of preprocessing need two names. Received: {key!r} twice")
        releases.append(_table(f'releases."{name}"', _record(name, config, profile, timm, count)))
    header = _HEADER.format(version=timm.__version__, module=module)
    tables = [_table(f"preprocessing.{key}", profiles[key]) for key in sorted(profiles)]
    return "\n".join([header, *tables, *releases])


def count_parameters(timm: types.ModuleType, name: str) -> int:
    """Return the number of parameters of the model that timm builds for a tag."""
    config = timm.models.get_pretrained_cfg(name)
    return _count(timm, config.architecture, config.num_classes, config.input_size[1:])


@functools.cache
def _count(timm, architecture, num_classes, image_size) -> int:
    import torch

    with torch.device("meta"):
        model = timm.create_model(architecture, num_classes=num_classes, img_size=image_size)
    return sum(parameter.numel() for parameter in model.parameters())


def _record(name: str, config: Any, profile: dict, timm: types.ModuleType, count) -> dict:
    record = {
        "model": config.architecture,
        "preprocessing": _profile_name(profile),
        "num_classes": config.num_classes,
        "num_parameters": count(name),
        "hub": config.hf_hub_id,
        "hub_filename": config.hf_hub_filename,
        "url": config.url,
        "sha256_prefix": _hash_prefix(config.url),
        "licence": config.license,
        "reference": _reference(config),
        "classes": timm.data.infer_imagenet_subset({"num_classes": config.num_classes}),
        "note": " ".join(config.notes or ()),
    }
    if config.url:
        layout = next(layout for rule, layout in _URL_LAYOUTS if re.fullmatch(rule, config.url))
        record["url_layout" if config.hf_hub_id else "layout"] = layout
    return {key: value for key, value in record.items() if value not in (None, "")}


def _hash_prefix(url: str | None) -> str | None:
    """The first digits of the SHA-256 in a file's name, as torch.hub and timm put them there."""
    found = re.search(r"-([0-9a-f]{8})\.pth$", url or "")
    return found and found[1]


def _reference(config: Any) -> str | None:
    papers = config.paper_ids or ()
    paper = papers if isinstance(papers, str) else next(iter(papers), "")
    if paper.startswith("arXiv:"):
        return "https://arxiv.org/abs/" + paper.removeprefix("arXiv:")
    return config.origin_url


def _preprocessing(config: Any) -> dict:
    return {
        "image_size": list(config.input_size[1:]),
        "crop_fraction": config.crop_pct,
        "crop_mode": config.crop_mode,
        "interpolation": config.interpolation,
        "mean": list(config.mean),
        "std": list(config.std),
    }


def _profile_name(profile: dict) -> str:
    height, width = profile["image_size"]
    size = f"{height}" if height == width else f"{height}x{width}"
    crop = f"{profile['crop_mode']}{100 * profile['crop_fraction']:g}".replace(".", "")
    return f"{_STATISTICS[profile['mean'][0]]}-{size}-{crop}-{profile['interpolation']}"


def _table(title: str, values: dict) -> str:
    # JSON's strings, numbers and lists are TOML's.
    return "\n".join([f"[{title}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items()), ""])


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or compare them; return the exit code (1: a file is out of date)."""
    parser = argparse.ArgumentParser(prog="kerasvit.conversion.registry_records")
    parser.add_argument("--check", action="store_true", help="write nothing; compare")
    check = parser.parse_args(arguments).check
    timm = import_timm()
    stale = 0
    for file in MODULES:
        path = pathlib.Path(str(importlib.resources.files("kerasvit.configs") / file))
        text = file_text(file, timm)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            print(f"{file}: up to date")
        elif check:
            stale += 1
            print(f"{file}: differs from timm {timm.__version__}'s registry")
        else:
            with atomic_path(path, overwrite=True) as temporary:
                temporary.write_text(text, encoding="utf-8")
            print(f"{file}: written")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
