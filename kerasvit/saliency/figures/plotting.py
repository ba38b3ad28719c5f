"""From results to a figure, to a file, to a notebook."""

import base64
import html
import os
import pathlib
import types
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kerasvit.errors import UsageError
from kerasvit.files import check_outputs
from kerasvit.saliency.figures.panels import make_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "pdf", "svg")


def plot(
    results: Any,
    *,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    colormap: str = "inferno",
    opacity: float = 0.8,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw results side by side: a row for each picture, its photograph first, then its maps.

    The opacity of a map grows with its value: low values leave the photograph as it is. Each map
    has its own range, see `Method.normalisation`. Heads that are kept apart have a panel each. A
    result of prepared arrays has no photograph, and its map stands alone.

    Args:
        results: what `explain` returned, one or several, of one picture by several methods, or of
            several pictures.
        titles: of the maps, one for each result; None for method and class.
        title: of the whole figure.
        colormap: a name that Matplotlib knows.
        opacity: of the highest value, in [0, 1].
        figure: to draw on, for instance of `matplotlib.pyplot`; None for a new one, which shows
            itself in a notebook.

    Returns:
        The figure of Matplotlib.

    Raises:
        InputError: if a map is not finite.
        UsageError: if an argument is out of its range, there are more than 240 panels, or
            Matplotlib is not installed.
    """
    flat = _flat(results)
    rows = make_rows(flat, titles)
    return _matplotlib().draw(rows, title=title, colormap=colormap, opacity=opacity, figure=figure)


def save(
    path: str | os.PathLike[str],
    results: Any,
    *,
    dpi: float = 150,
    overwrite: bool = False,
    **style: Any,
) -> None:
    """Write what `plot` draws to a file, atomically; its ending says as what.

    Args:
        path: ends in `.png`, `.pdf` or `.svg`.
        results: as for `plot`.
        dpi: dots an inch, kept in the file; of a PDF or SVG, those of the photographs inside.
        overwrite: whether an existing file may be replaced.
        **style: further arguments of `plot`.

    Raises:
        InputError: as `plot`.
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
        UsageError: as `plot`; or if the ending is another, or `dpi` is not above 0.
    """
    kind = ending_of(path, KINDS)
    check_outputs([path], overwrite=overwrite)
    _matplotlib().write(plot(results, **style), path, kind, dpi, overwrite)


def ending_of(path: str | os.PathLike[str], kinds: Sequence[str]) -> str:
    """Return the ending of a file's name, without its dot.

    Raises:
        UsageError: if it is none of `kinds`, or no path was given.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(
            "A figure is written to a path. Received: "
            f"{type(path).__name__}. For the bytes: kerasvit.saliency.figures.plotting.as_png"
        )
    ending = pathlib.Path(path).suffix.lower().removeprefix(".")
    if ending not in kinds:
        raise UsageError(
            f"The name of a figure ends in {', '.join(f'.{kind}' for kind in kinds)}. "
            f"Received: {os.fspath(path)!r}. Choose one of these endings."
        )
    return ending


def as_png(results: Any) -> bytes:
    """Return what `plot` draws as a PNG."""
    return _matplotlib().png_bytes(plot(results))


def as_html(results: Any, caption: str) -> str:
    """Return what `plot` draws, with a line below, for a notebook."""
    picture = base64.b64encode(as_png(results)).decode("ascii")
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _flat(results: Any) -> list[Any]:
    """Return the single results, also out of what `explain` returned for a list."""
    if hasattr(results, "values") and hasattr(results, "method"):
        return [results]
    if isinstance(results, Iterable) and not isinstance(results, str | bytes | dict):
        return [single for entry in results for single in _flat(entry)]
    raise UsageError(
        "A figure is made of what explain returned, one result or several. "
        f"Received: {type(results).__name__}."
    )


def _matplotlib() -> types.ModuleType:
    """Return the module that draws with Matplotlib."""
    try:
        from kerasvit.saliency.figures import drawing
    except ImportError as error:
        raise UsageError(
            "Figures need Matplotlib. Received: not installed. "
            'Install it with: pip install "matplotlib>=3.8"'
        ) from error
    return drawing
