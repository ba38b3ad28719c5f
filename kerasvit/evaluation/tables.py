"""A report as a table: a row for each figure of each method, with how sure it is."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = (
    *("method", "metric", "figure", "better", "n", "mean", "standard_error"),
    *("interval_low", "interval_high", "reference"),
    *("difference", "difference_low", "difference_high", "note"),
)
# Which way is good; of the others the protocol says more.
BETTER = {
    **dict.fromkeys(("positive", "positive_confidence", "deletion"), "low"),
    **dict.fromkeys(("negative", "negative_confidence", "insertion"), "high"),
    **dict.fromkeys(("share", "pointing"), "high"),
    **dict.fromkeys(("pixel_accuracy", "miou", "map", "dino_jaccard"), "high"),
    "mean": "low",
}


def rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each figure of each method, with the keys `COLUMNS`.

    Args:
        report: of `evaluate_files` or `evaluate_saliency`. A metric that was left out has a row
            without a figure, whose note says why.
    """
    found = [row for metric in _metrics(report) for row in _metric_rows(report, metric)]
    for method, values in report["methods"].items():
        seconds = values.get("seconds_per_picture")
        found.append(_row(method, "time", "seconds_per_picture", better="low", mean=seconds))
    return found


def reasons(report: Mapping[str, Any]) -> dict[str, str]:
    """Return why metrics were left out, by metric."""
    return {
        metric: str(values[metric]["skipped"])
        for values in report["methods"].values()
        for metric in values
        if isinstance(values[metric], Mapping) and "skipped" in values[metric]
    }


def statistics(report: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    """Return the statistics of a metric, or of `"masks"`, by method and figure."""
    if metric == "masks":
        return report.get("masks", {}).get("statistics", {})
    return report.get("statistics", {}).get(metric, {})


def as_csv(report: Mapping[str, Any]) -> str:
    """Return the rows of a report as CSV with a heading."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(report))
    return stream.getvalue()


def _metrics(report: Mapping[str, Any]) -> list[str]:
    return [*report.get("protocols", {}), *(["masks"] if "masks" in report else [])]


def _metric_rows(report: Mapping[str, Any], metric: str) -> Iterator[dict[str, Any]]:
    left_out = reasons(report).get(metric)
    if left_out is not None:
        for method in report["methods"]:
            yield _row(method, metric, "", note=f"left out: {left_out}")
    for method, figures in statistics(report, metric).items():
        for name, entry in figures.items():
            yield _figure_row(method, metric, name, entry, report["reference"])


def _figure_row(
    method: str, metric: str, name: str, entry: Mapping[str, Any], reference: str
) -> dict[str, Any]:
    low, high = entry["interval"] or (None, None)
    difference = entry.get("difference", {})
    ends = difference.get("interval") or (None, None)
    return _row(
        method,
        metric,
        name,
        better=BETTER.get(name, "low" if metric == "randomisation" else ""),
        n=entry["n"],
        mean=entry["mean"],
        standard_error=entry["standard_error"],
        interval_low=low,
        interval_high=high,
        reference=reference if difference else "",
        difference=difference.get("mean"),
        difference_low=ends[0],
        difference_high=ends[1],
        note="" if entry["n"] > 1 else "one picture has no standard error",
    )


def _row(method: str, metric: str, figure: str, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS, ""), "method": method, "metric": metric}
    row["figure"] = figure
    for name, value in values.items():
        row[name] = "" if value is None else value
    return row
