"""What is written beside the pictures: arrays by name, and matches as plain values."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasvit import __version__
from kerasvit.features.components import FeaturePCA
from kerasvit.features.matching import Matches
from kerasvit.features.patches import Patch, PatchFeatures


def pca_arrays(pictures: Sequence[PatchFeatures], result: FeaturePCA, model: str) -> dict[str, Any]:
    """Return the components by name: `first_0`, `mask_0`, `colours_0` of the first picture, ..."""
    parts = zip(result.first, result.masks, result.colours, strict=True)
    arrays: dict[str, Any] = {}
    for number, (first, mask, colours) in enumerate(parts):
        arrays[f"first_{number}"] = first.astype(np.float32)
        arrays[f"mask_{number}"] = mask
        arrays[f"colours_{number}"] = colours.astype(np.float32)
    arrays["explained"] = result.explained
    arrays["component"] = result.component.astype(np.float32)
    arrays["foreground_components"] = result.foreground_components.astype(np.float32)
    return arrays | _header(pictures, model)


def similarity_arrays(
    pictures: Sequence[PatchFeatures],
    maps: Sequence[np.ndarray],
    patch: Patch,
    picture: int,
    model: str,
) -> dict[str, Any]:
    """Return the maps by name, `similarity_0` of the first picture, ..."""
    arrays: dict[str, Any] = {f"similarity_{number}": own for number, own in enumerate(maps)}
    return arrays | _header(pictures, model, patch=list(patch), picture=picture)


def match_arrays(pictures: Sequence[PatchFeatures], matches: Matches, model: str) -> dict[str, Any]:
    """Return the pairs by name: `first` and `second`, `(M, 2)`, and `similarity`, `(M,)`."""
    arrays = {
        "first": matches.first.astype(np.int32),
        "second": matches.second.astype(np.int32),
        "similarity": matches.similarity,
    }
    return arrays | _header(pictures, model)


def match_record(pictures: Sequence[PatchFeatures], matches: Matches, model: str) -> dict[str, Any]:
    """Return the pairs as plain values, for JSON: places as row and column, the first picture's
    before the second's; `pixels` are the centres of the patches on the photographs.
    """
    pairs = zip(
        matches.first.tolist(),
        matches.second.tolist(),
        pictures[0].centres(matches.first).tolist(),
        pictures[1].centres(matches.second).tolist(),
        matches.similarity.tolist(),
        strict=True,
    )
    return {
        **describe(pictures, model),
        "matches": [
            {"similarity": likeness, "patches": [first, second], "pixels": [start, stop]}
            for first, second, start, stop, likeness in pairs
        ],
    }


def describe(pictures: Sequence[PatchFeatures], model: str) -> dict[str, Any]:
    """Return the model and, of each picture, its name, grid and place on the photograph."""
    return {
        "version": __version__,
        "model": model,
        "pictures": [
            {"name": own.name, "grid": list(own.grid), "geometry": own.geometry.to_dict()}
            for own in pictures
        ],
    }


def _header(pictures: Sequence[PatchFeatures], model: str, **more: Any) -> dict[str, np.ndarray]:
    header = json.dumps({**describe(pictures, model), **more}, ensure_ascii=False)
    return {"header": np.array(header)}
