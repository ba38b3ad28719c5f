"""The table and the JSON file of a run.

    python -m benchmarks.report benchmarks/results/speed.json

prints the tables of an earlier run and draws its plots again.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence

from benchmarks.harness import machine
from benchmarks.harness.figures import Row

MEBI = 2**20


def table(rows: Sequence[Row], references: Sequence[str]) -> str:
    """Return the rows as a Markdown table, those that were skipped last.

    Args:
        rows: one for each contender.
        references: whose ratios get a column.
    """
    head = [
        "contender",
        "ms",
        "±",
        "CPU ms",
        "images/s",
        *(f"x {name}" for name in references),
        "% of peak",
        "first call s",
        "peak MiB",
        "added MiB",
        "scores",
    ]
    measured = [_cells(row, references) for row in rows if row.seconds is not None]
    lines = _aligned([head, *measured])
    lines += [f"skipped {row.contender}: {row.skipped}" for row in rows if row.skipped]
    return "\n".join(lines)


def _cells(row, references):
    return [
        row.contender,
        f"{1000 * row.seconds:.1f}",
        _or_dash(row.spread, "{:.0%}"),
        _or_dash(row.cpu and 1000 * row.cpu, "{:.1f}"),
        f"{row.images_per_second:.2f}",
        *(_or_dash(row.ratios.get(name), "{:.2f}") for name in references),
        _or_dash(row.share, "{:.0%}"),
        _or_dash(row.first_call, "{:.1f}"),
        _or_dash(row.peak and row.peak / MEBI, "{:.0f}"),
        _or_dash(None if row.added is None else row.added / MEBI, "{:.0f}"),
        row.scores or "none",
    ]


def _or_dash(value, form):
    return "-" if value is None else form.format(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, all but the first and the last column to the right."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1

    def line(cells):
        sides = ("<" if index in (0, last) else ">" for index in range(last + 1))
        padded = (
            f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, widths, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if index in (0, last) else "-" * (width - 1) + ":"
        for index, width in enumerate(widths)
    ]
    return [line(rows[0]), line(rule), *map(line, rows[1:])]


def text(results: dict) -> str:
    """Return a whole run as text: the machine, a table for each task, a warning if it was busy."""
    about = results["machine"]
    parts = [
        f"{about['processor']}, {about['threads']} threads, {about['date']}, "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    ]
    if about.get("reuses_memory"):
        parts.append("All processes keep freed memory (kerasvit.reuse_memory).")
    if results["peak"]:
        speeds = (f"{name} {value / 1e9:.0f}" for name, value in results["peak"].items())
        parts.append(f"matrix product, GFLOP/s: {', '.join(speeds)}")
    for cell in results["cells"]:
        rows = [Row(**row) for row in cell["rows"]]
        parts.append(f"{title(cell)}\n\n{table(rows, results['references'])}")
    return "\n\n".join([*parts, machine.warning(results["busyness"])]).strip()


def title(cell: dict) -> str:
    """Return the heading of a task's table."""
    return f"{cell['model']}, batch {cell['batch']}, {cell['size']} px"


def cell(task, rows: Sequence[Row], turns) -> dict:
    """Return what is kept of a task: its figures and every measured call."""
    return {
        "model": task.model,
        "batch": task.batch,
        "size": task.size,
        "rows": [dataclasses.asdict(row) for row in rows],
        "turns": [dataclasses.asdict(turn) for turn in turns],
    }


def save(results: dict, path: pathlib.Path) -> None:
    """Write a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    from benchmarks.harness import plots

    path = pathlib.Path(sys.argv[1])
    results = json.loads(path.read_text())
    print(text(results))
    for file in plots.draw(results, path.with_suffix("")):
        print(file)


if __name__ == "__main__":
    main()
