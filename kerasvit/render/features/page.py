"""One HTML file on which a patch, pointed at, shows how alike all others are, in every picture."""

import gzip
import html
import os
import pathlib
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.features.patches import Patch, PatchFeatures, check_pictures
from kerasvit.files import atomic_path
from kerasvit.render.colour import colourise
from kerasvit.render.features.sheets import photograph_of
from kerasvit.render.pages.document import document, part
from kerasvit.render.pages.embedding import as_base64, as_jpeg
from kerasvit.texts.printable import printable

MAX_BYTES = 40_000_000
LEVELS = 127
_HERE = pathlib.Path(__file__).parent


def write_feature_page(
    path: str | os.PathLike[str],
    pictures: Sequence[PatchFeatures],
    *,
    patch: Patch | None = None,
    picture: int = 0,
    title: str = "",
    note: str = "",
    colormap: str = "inferno",
    overwrite: bool = False,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Write a page on which the patch under the pointer asks, in any of the pictures.

    The page holds everything and asks no network: the pictures as JPEG, at most 1024 pixels long,
    and the features as whole numbers from -127 to 127 times a length of their own, so that cosines
    are off by some thousandths. All pictures share one range of colours. Its address keeps the
    patch: `page.html#picture=0&patch=3,5`.

    Args:
        path: the file to write.
        pictures: with their photographs, of one model.
        patch: `(row, column)` of the one that asks first; None for the middle.
        picture: number of the picture that it lies in.
        title: the heading.
        note: a line below the heading, for instance the model.
        colormap: see `colourise`.
        overwrite: whether an existing file may be replaced.
        max_bytes: of the features in the page.

    Raises:
        InputError: if a picture has no photograph, or features are of different widths.
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if the features take more than `max_bytes`, or there is no such patch.
    """
    text = feature_page(
        pictures,
        patch=patch,
        picture=picture,
        title=title,
        note=note,
        colormap=colormap,
        max_bytes=max_bytes,
    )
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def feature_page(
    pictures: Sequence[PatchFeatures],
    *,
    patch: Patch | None = None,
    picture: int = 0,
    title: str = "",
    note: str = "",
    colormap: str = "inferno",
    max_bytes: int = MAX_BYTES,
) -> str:
    """Return what `write_feature_page` writes."""
    check_pictures(pictures)
    asking = pictures[picture]
    patch = (asking.grid[0] // 2, asking.grid[1] // 2) if patch is None else patch
    asking.check_patch(patch)
    packed = [pack_features(own) for own in pictures]
    size = sum(4 * len(content) // 3 for content in packed)
    if size > max_bytes:
        raise UsageError(
            f"The features of a page take up to {max_bytes / 1e6:.0f} MB. Received: "
            f"{size / 1e6:.0f} MB. Use fewer pictures, or let the model see smaller ones."
        )
    facts = {
        "pictures": [_facts(own) for own in pictures],
        "channels": asking.values.shape[-1],
        "start": {"picture": picture, "row": int(patch[0]), "column": int(patch[1])},
        "colours": as_base64(colourise(np.linspace(0, 1, 256), colormap).tobytes()),
    }
    return _page(pictures, packed, facts, title, note)


def pack_features(picture: PatchFeatures) -> bytes:
    """Return the directions of features, compressed: a scale for each patch, then its numbers.

    Little-endian float32 `(P,)` and int8 `(P, D)`, whose product is the feature of length 1.
    """
    directions = picture.directions
    scales = np.abs(directions).max(axis=1, keepdims=True) / LEVELS
    whole = np.rint(directions / np.maximum(scales, np.finfo(np.float32).tiny)).astype(np.int8)
    # Rounding changes lengths; a cosine must not be off by that.
    lengths = np.linalg.norm(whole.astype(np.float32), axis=1)
    scales = np.where(lengths > 0, 1 / np.maximum(lengths, 1), 0)
    # Without the time, equal features give an equal page.
    return gzip.compress(scales.astype("<f4").tobytes() + whole.tobytes(), 6, mtime=0)


def _facts(picture: PatchFeatures) -> dict[str, Any]:
    return {
        "name": picture.name,
        "size": [int(side) for side in picture.geometry.original_size],
        "box": [float(edge) for edge in picture.geometry.box],
        "patches": list(picture.grid),
    }


def _page(
    pictures: Sequence[PatchFeatures],
    packed: Sequence[bytes],
    facts: dict[str, Any],
    title: str,
    note: str,
) -> str:
    figure = (
        '<figure><canvas class="stage" data-picture="{0}" tabindex="0" role="application" '
        'aria-label="Picture {0} in patches. Arrow keys move the patch that asks, Enter pins it." '
        'aria-describedby="status">This page needs a canvas.</canvas>'
        "<figcaption>{1}</figcaption>"
        '<img class="photograph" alt="" hidden src="data:image/jpeg;base64,{2}"></figure>'
    )
    figures = [
        figure.format(
            number, html.escape(printable(own.name)), as_base64(as_jpeg(photograph_of(own)))
        )
        for number, own in enumerate(pictures)
    ]
    scripts = [part("scores.js"), part("drawing.js"), part("features.js", _HERE)]
    return document(
        string.Template(part("features.html", _HERE)).substitute(figures="\n".join(figures)),
        title=title,
        note=note,
        style=part("page.css") + part("features.css", _HERE),
        script="\n".join(scripts),
        facts=facts,
        contents={f"features-{number}": content for number, content in enumerate(packed)},
    )
