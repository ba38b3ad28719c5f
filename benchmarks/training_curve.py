"""Draw the log of one or more training runs.

    cd docs/measurements; python -m benchmarks.training_curve *_nano_cifar10.csv -o nano_cifar10.png

The lines break where the image size changes.
"""

import argparse
import csv
import itertools
import pathlib

PANELS = {"accuracy": ("val_accuracy", "accuracy"), "loss": ("val_loss", "teacher_loss")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+", type=pathlib.Path, help="log.csv of `kerasvit train`")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    options = parser.parse_args()
    draw({_name(path): _rows(path) for path in options.logs}, options.output)


def _name(path: pathlib.Path) -> str:
    return path.parent.name if path.name == "log.csv" else path.stem


def draw(runs: dict[str, list[dict[str, float]]], path: pathlib.Path) -> None:
    """Draw accuracy and losses by epoch.

    Args:
        runs: rows of `log.csv` by a run's name.
        path: of the picture.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(PANELS), figsize=(9, 3.2), layout="constrained")
    for axis, (title, columns) in zip(axes, PANELS.items(), strict=True):
        _annotate_sizes(axis, next(iter(runs.values())), columns[0])
        for colour, (name, rows) in enumerate(runs.items()):
            for line, column in zip(("-", ":"), columns, strict=True):
                _draw_stages(axis, rows, column, f"C{colour}", line, f"{name} {column}".strip())
        axis.set(xlabel="epoch", title=title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_stages(axis, rows, column, colour, line, label):
    for _, stage in _stages(rows, column):
        epochs, values = [row["epoch"] for row in stage], [row[column] for row in stage]
        axis.plot(epochs, values, line, marker=".", color=colour, label=label)
        label = None  # one entry of the legend for all stages


def _annotate_sizes(axis, rows, column):
    for size, stage in _stages(rows, column):
        start = stage[0]["epoch"], stage[0][column]
        axis.annotate(f"{size:.0f} px", start, fontsize=7, alpha=0.7)


def _stages(rows, column):
    rows = [row for row in rows if column in row]
    for size, stage in itertools.groupby(rows, lambda row: row["image_size"]):
        yield size, list(stage)


def _rows(path: pathlib.Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    main()
