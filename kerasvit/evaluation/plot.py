"""The curves of an evaluation as one picture."""

import os
from collections.abc import Mapping
from typing import Any

from kerasvit.errors import UsageError

_TITLES = {
    "positive": "still the same class, most relevant first (low is good)",
    "negative": "still the same class, least relevant first (high is good)",
    "insertion": "probability, pixels put in (high is good)",
    "deletion": "probability, pixels taken out (low is good)",
}


def draw_curves(report: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw the mean curves of each method.

    Args:
        report: of `evaluate_saliency`.
        path: the PNG to write.

    Raises:
        UsageError: if the report has no curves, or Matplotlib is not installed.
    """
    first: Mapping[str, Any] = next(iter(report["methods"].values()), {})
    panels = [
        (metric, name)
        for metric in ("perturbation", "insertion_deletion")
        for name in first.get(metric, {}).get("curves", {})
        if name in _TITLES
    ]
    if not panels:
        raise UsageError(
            "There are no curves to draw. Received: a report without perturbation and "
            "insertion_deletion. Ask for one of these metrics."
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "A plot needs Matplotlib. Received: not installed. "
            'Install it with: pip install "matplotlib>=3.8"'
        ) from error
    # A figure of its own: pyplot would keep it alive and may ask for a display.
    figure = Figure(figsize=(5.2 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (metric, name) in zip(axes, panels, strict=True):
        for index, (method, found) in enumerate(report["methods"].items()):
            # Matplotlib has ten colours.
            dashes = "-" if index < 10 else "--"
            values = found[metric]["curves"][name]
            axis.plot(found[metric]["fractions"], values, dashes, label=method)
        axis.set_title(_TITLES[name], fontsize=9)
        axis.set_xlabel("share of the pixels")
        axis.set_ylim(0, 1.02)
    lines, names = axes[-1].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right upper", fontsize=8)
    figure.suptitle(f"{report['n']} pictures", fontsize=9)
    figure.savefig(path, format="png", dpi=110)
