"""One HTML file that shows what each patch of a picture attends to, in any layer and head."""

import os
import pathlib
import string
from collections.abc import Mapping

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.render.colour import colourise
from kerasvit.render.pages.document import document, part
from kerasvit.render.pages.embedding import as_base64, as_jpeg
from kerasvit.render.viewer.data import Block, pack_blocks

MAX_BYTES = 20_000_000

_HERE = pathlib.Path(__file__).parent


def write_viewer(
    path: str | os.PathLike[str],
    picture: np.ndarray,
    scores: Mapping[str, np.ndarray],
    layouts: Mapping[str, TokenLayout],
    geometry: Geometry,
    title: str,
    overwrite: bool = False,
    *,
    note: str = "",
    colormap: str = "cividis",
    max_bytes: int = MAX_BYTES,
) -> None:
    """Write a page on which a patch, pointed at, shows what it attends to.

    The page holds everything, asks no network, and opens from a file: the picture as JPEG, at most
    1024 pixels long, and the scores as whole numbers from 0 to 255 between the lowest and the
    highest of each row, so that they are off by at most 1/510 of that range. Its address keeps
    layer, head and query: `page.html#layer=3&head=mean&query=2,5` or `&query=class`.

    What the class token and other prefix tokens attend to is there for each patch. Where the page
    would exceed `max_bytes`, neighbouring patches, 2 by 2 or more, are averaged where patches ask,
    in rows and columns, and the page says so. For full detail write two or three layers, or raise
    the limit.

    It looks as the sheet does: low values leave the photograph as it is, and patches that outshine
    the rest are cut (`kerasvit.saliency.clip_brightest`). Where scores are probabilities, a dot for
    each head says how far and how widely it looks.

    Args:
        path: the file to write.
        picture: uint8 `(H, W, 3)`, the photograph as it was read.
        scores: of one picture, `(heads, N, N)` by key of the block; `(heads, Q, N)` with the rows
            of the class and distillation tokens alone, as class attention and `attention="cls"`
            give them. In the order to show; the page starts at the last.
        layouts: of the token axis, by the same keys.
        geometry: where the model's input lies on the photograph.
        title: the heading.
        overwrite: whether an existing file may be replaced.
        note: a line below the heading, for instance the model.
        colormap: see `colourise`.
        max_bytes: of the scores in the page, at least.

    Raises:
        InputError: if scores, layouts, picture and geometry do not fit, or scores are not finite.
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: if there is no such colormap, or nothing would fit into `max_bytes`.
    """
    _check(picture, scores, layouts, geometry)
    with atomic_path(path, overwrite) as temporary:
        blocks = pack_blocks(scores, layouts, max_bytes)
        if not blocks:
            raise UsageError(
                "Not even the mean of all patches fits into the page. "
                f"Received: max_bytes={max_bytes!r}. Try {MAX_BYTES}."
            )
        page = _page(picture, blocks, geometry, title, _note(note, blocks), colormap)
        temporary.write_text(page, encoding="utf-8", newline="\n")


def _page(
    picture: np.ndarray,
    blocks: list[Block],
    geometry: Geometry,
    title: str,
    note: str,
    colormap: str,
) -> str:
    facts = {
        "size": [int(side) for side in geometry.original_size],
        "box": [float(edge) for edge in geometry.box],
        "blocks": [block.facts for block in blocks],
        "start": len(blocks) - 1,
        "colours": as_base64(colourise(np.linspace(0, 1, 256), colormap).tobytes()),
    }
    image = "data:image/jpeg;base64," + as_base64(as_jpeg(picture))
    scripts = [part("scores.js"), part("drawing.js")]
    scripts += [part(name, _HERE) for name in ("viewer.probes.js", "viewer.js")]
    return document(
        string.Template(part("viewer.html", _HERE)).substitute(picture=image),
        title=title,
        note=note,
        style=part("page.css"),
        script="\n".join(scripts),
        facts=facts,
        contents={f"block-{index}": block.packed for index, block in enumerate(blocks)},
    )


def _note(note: str, blocks: list[Block]) -> str:
    pooled = max(block.facts["pooled"] for block in blocks)
    coarse = (
        f"where patches ask, each cell is the mean of {pooled} by {pooled} patches, to keep the "
        "page small; where a token asks, each patch is shown"
    )
    return " · ".join(part for part in (note, coarse if pooled > 1 else "") if part)


def _check(
    picture: np.ndarray,
    scores: Mapping[str, np.ndarray],
    layouts: Mapping[str, TokenLayout],
    geometry: Geometry,
) -> None:
    if picture.dtype != np.uint8 or picture.shape != (*geometry.original_size, 3):
        raise InputError(
            "The photograph must be uint8 (H, W, 3) of the size that its geometry names, "
            f"{geometry.original_size}. Received: {picture.dtype} {picture.shape}."
        )
    if not scores or set(scores) - set(layouts):
        raise InputError(
            "A viewer needs the scores of a block at least, and a layout for each. Received: "
            f"scores of {', '.join(scores) or 'none'}; layouts of {', '.join(layouts) or 'none'}."
        )
