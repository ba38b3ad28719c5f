"""The report of `kerasvit evaluate-saliency` as text."""

from collections.abc import Callable, Mapping
from typing import Any

from kerasvit.cli.reports.columns import aligned
from kerasvit.texts.wording import counted

# What the tables show of each metric; the report has all of it.
_COLUMNS = {
    "perturbation": ("positive", "negative"),
    "insertion_deletion": ("insertion", "deletion"),
    "grid_pointing": ("share", "pointing"),
    "infidelity": ("mean",),
    "masks": ("pixel_accuracy", "miou", "map", "dino_jaccard"),
}

# Of fewer pictures a bootstrap knows too little of their spread.
_FEWEST = 10

Cell = Callable[[Mapping[str, Any]], str]


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report's main figures with how sure they are, and what was left out and why.

    Args:
        report: of `kerasvit.evaluation.evaluate_files`.
    """
    from kerasvit.evaluation.tables import reasons

    parts = [counted(report["n"], "picture"), _table(report, _methods(report), _mean, True)]
    if report["n"] > 1:
        parts += ["", "95 % intervals", _table(report, _methods(report), _interval)]
        others = [name for name in _methods(report) if name != report["reference"]]
        if others:
            enough = report["n"] >= _FEWEST
            mark = ", * beyond chance: 95 % of the paired bootstrap without 0" if enough else ""
            cell = _marked_difference if enough else _difference
            parts += ["", f"difference to {report['reference']}{mark}"]
            parts.append(_table(report, others, cell))
    if 1 < report["n"] < _FEWEST:
        parts += ["", f"fewer than {_FEWEST} pictures: the intervals are too narrow"]
    for metric, reason in reasons(report).items():
        parts += ["", f"{metric} was left out: {reason}"]
    return "\n".join(parts)


def _table(
    report: Mapping[str, Any], methods: list[str], cell: Cell, has_seconds: bool = False
) -> str:
    from kerasvit.evaluation.tables import statistics

    rows = [["method"], *([method] for method in methods)]
    for metric, names in _COLUMNS.items():
        found = statistics(report, metric)
        for name in names:
            if not any(name in found.get(method, {}) for method in methods):
                continue
            rows[0].append(f"{metric} {name}" if len(names) == 1 else name)
            for row in rows[1:]:
                entry = found.get(row[0], {}).get(name)
                row.append("-" if entry is None else cell(entry))
    if has_seconds:
        rows[0].append("seconds")
        for row in rows[1:]:
            seconds = report["methods"].get(row[0], {}).get("seconds_per_picture")
            row.append("-" if seconds is None else f"{seconds:.3f}")
    return aligned(rows)


def _mean(entry: Mapping[str, Any]) -> str:
    error = entry["standard_error"]
    return f"{entry['mean']:.3f}" + ("" if error is None else f"±{error:.3f}")


def _interval(entry: Mapping[str, Any]) -> str:
    if entry["interval"] is None:
        return "-"
    low, high = entry["interval"]
    return f"{low:.3f}..{high:.3f}"


def _difference(entry: Mapping[str, Any]) -> str:
    difference = entry.get("difference")
    return "-" if difference is None else f"{difference['mean']:+.3f}"


def _marked_difference(entry: Mapping[str, Any]) -> str:
    difference = entry.get("difference")
    if difference is None or difference["interval"] is None:
        return _difference(entry)
    low, high = difference["interval"]
    return _difference(entry) + ("*" if low > 0 or high < 0 else "")


def _methods(report: Mapping[str, Any]) -> list[str]:
    return list(report["methods"] or report["masks"]["methods"])
