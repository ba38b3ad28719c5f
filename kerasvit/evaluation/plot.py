"""The curves of an evaluation as one picture."""

import os
from collections.abc import Mapping
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.texts.wording import counted

_DPI = 200

_TITLES = {
    "positive": "still the same class, most relevant first (low is good)",
    "negative": "still the same class, least relevant first (high is good)",
    "insertion": "probability, pixels put in (high is good)",
    "deletion": "probability, pixels taken out (low is good)",
}


# Metrics with curves.
CURVED = ("perturbation", "insertion_deletion")


def draw_curves(report: Mapping[str, Any], path: str | os.PathLike[str], kind: str = "png") -> None:
    """Draw the mean curves of each method, with the band of their 95 % intervals.

    Args:
        report: of `evaluate_saliency`.
        path: the file to write.
        kind: `"png"`, `"pdf"` or `"svg"`.

    Raises:
        UsageError: if the report has no curves, or Matplotlib is not installed.
    """
    first: Mapping[str, Any] = next(iter(report["methods"].values()), {})
    panels = [
        (metric, name)
        for metric in CURVED
        for name in first.get(metric, {}).get("curves", {})
        if name in _TITLES
    ]
    if not panels:
        raise UsageError(
            "There are no curves to draw. Received: a report without perturbation and "
            "insertion_deletion. Ask for one of these metrics."
        )
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "A plot needs Matplotlib. Received: not installed. "
            'Install it with: pip install "matplotlib>=3.8"'
        ) from error
    from kerasvit.saliency.figures.drawing import METADATA, SETTINGS

    # A figure of its own: pyplot would keep it alive and may ask for a display.
    figure = Figure(figsize=(5.2 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (metric, name) in zip(axes, panels, strict=True):
        _draw_panel(axis, report["methods"], metric, name)
    lines, names = axes[-1].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right upper", fontsize=8)
    count = report["n"]
    note = ", bands: 95 % of the bootstrap" if count > 1 else ""
    figure.suptitle(counted(count, "picture") + note, fontsize=9)
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(path, format=kind, dpi=_DPI, metadata=METADATA[kind])


def _draw_panel(axis: Any, methods: Mapping[str, Any], metric: str, name: str) -> None:
    for index, (method, found) in enumerate(methods.items()):
        values, fractions = found[metric]["curves"][name], found[metric]["fractions"]
        # Matplotlib has ten colours.
        (line,) = axis.plot(fractions, values, "-" if index < 10 else "--", label=method)
        band = found[metric].get("bands", {}).get(name)
        if band is not None:
            axis.fill_between(fractions, *band, color=line.get_color(), alpha=0.15, linewidth=0)
    axis.set_title(_TITLES[name], fontsize=9)
    axis.set_xlabel("share of the pixels")
    axis.set_ylim(0, 1.02)
