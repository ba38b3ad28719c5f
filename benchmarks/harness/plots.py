"""The plots of a run: speed by batch, time and memory by image size."""

import itertools
import pathlib

MEBI = 2**20
# Who it is by colour, which scores by line.
LINES = {"full": "-", "cls": "--", "none": ":"}
MARKERS = "osD^vP*X"


def draw(results: dict, stem: pathlib.Path) -> list[pathlib.Path]:
    """Draw what the run has the points for.

    Args:
        results: as `report.save` writes them.
        stem: path that the names of the plots begin with.

    Returns:
        The files: `*-by-batch.png` where a model ran at several batches, `*-by-size.png` where it
        ran at several sizes.
    """
    points = [
        {**row, "model": cell["model"], "batch": cell["batch"], "size": cell["size"]}
        for cell in results["cells"]
        for row in cell["rows"]
        if row["seconds"]
    ]
    files = []
    for axis, other, values in (
        ("batch", "size", {"images/s": lambda point: point["images_per_second"]}),
        ("size", "batch", {"ms an image": _milliseconds, "MiB above the made model": _added}),
    ):
        panels = _panels(points, axis, other)
        if panels:
            files.append(stem.with_name(f"{stem.name}-by-{axis}.png"))
            _draw(panels, axis, values, files[-1])
    return files


def _milliseconds(point):
    return 1000 / point["images_per_second"]


def _added(point):
    return max(1.0, point["added"] / MEBI)


def _panels(points, axis, other):
    """Return the points by model and by the other axis, where there are several on this axis."""
    panels = {}
    for point in points:
        panels.setdefault((point["model"], point[other]), []).append(point)
    several = {
        key: panel for key, panel in panels.items() if len({point[axis] for point in panel}) > 1
    }
    suffix = " px" if other == "size" else ""
    prefix = "batch " if other == "batch" else ""
    return {f"{model}, {prefix}{value}{suffix}": panel for (model, value), panel in several.items()}


def _draw(panels, axis, values, path):
    from matplotlib.figure import Figure

    shape = (len(values), len(panels))
    figure = Figure(figsize=(5.2 * shape[1], 3.8 * shape[0] + 1.2), layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    names = sorted({point["contender"] for panel in panels.values() for point in panel})
    styles = _styles(names)
    for (row, (label, value)), (column, (title, panel)) in itertools.product(
        enumerate(values.items()), enumerate(panels.items())
    ):
        plot = axes[row, column]
        _lines(plot, panel, axis, value, styles)
        plot.set(title=title if row == 0 else "", xlabel=axis, ylabel=label)
    handles = {
        name: handle
        for plot in axes.flat
        for handle, name in zip(*plot.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _styles(names):
    """Return how each contender is drawn; one colour for all score modes of one engine."""
    engines = list(dict.fromkeys(_engine(name) for name in names))
    styles = {}
    for name in names:
        index = engines.index(_engine(name))
        line = LINES.get(name.rsplit("-", 1)[-1], "-")
        styles[name] = {"color": f"C{index % 10}", "ls": line, "marker": MARKERS[index % 8]}
    return styles


def _engine(name):
    stem, _, last = name.rpartition("-")
    return stem if last in LINES else name


def _lines(plot, panel, axis, value, styles):
    for name, style in styles.items():
        chosen = sorted(
            (point[axis], value(point)) for point in panel if point["contender"] == name
        )
        if chosen:
            plot.plot(*zip(*chosen, strict=True), label=name, markersize=4, **style)
    plot.set_xscale("log", base=2)
    plot.set_yscale("log")
    ticks = sorted({point[axis] for point in panel})
    plot.set_xticks(ticks, [str(tick) for tick in ticks])
    plot.minorticks_off()
    plot.grid(alpha=0.3)
