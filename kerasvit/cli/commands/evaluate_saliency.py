"""`kerasvit evaluate-saliency`: how good methods are for a model, as JSON, a table and a plot."""

import pathlib
import sys

from kerasvit.cli.methods import add_methods
from kerasvit.cli.options import (
    add_inputs,
    add_model,
    add_resize,
    add_target,
    at_least,
    load_resized_model,
    open_picture,
)
from kerasvit.cli.values import parse_method_options, split_names

_NONE = "none"

# What the table shows of each metric; the report has all of it.
_COLUMNS = {
    "perturbation": ("positive", "negative"),
    "insertion_deletion": ("insertion", "deletion"),
    "grid_pointing": ("share", "pointing"),
    "infidelity": ("mean",),
    "masks": ("pixel_accuracy", "miou", "map", "dino_jaccard"),
}


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate-saliency", parents=[common], help="measure how good saliency methods are"
    )
    add_inputs(parser)
    add_model(parser)
    add_methods(
        parser, "methods", "method", default="attention,rollout", hint="as for kerasvit saliency"
    )
    add_target(parser)
    parser.add_argument(
        "--metrics",
        default="perturbation,insertion_deletion,grid_pointing",
        metavar="METRIC,...",
        help="perturbation, insertion_deletion, grid_pointing (the default), infidelity, "
        "randomisation; none with --masks",
    )
    add_resize(parser)
    parser.add_argument(
        "--masks",
        metavar="FOLDER",
        help="a PNG for each picture under its name: 0 background, 255 void, others the objects; "
        "adds pixel accuracy, mIoU, mAP and DINO's Jaccard index",
    )
    parser.add_argument(
        "--baseline",
        choices=("mean", "black", "blur"),
        default="mean",
        help="what takes the place of pixels in the perturbation; defaults to mean",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all that is random")
    parser.add_argument("--batch-size", type=at_least(1), default=8, help="defaults to 8")
    parser.add_argument("-o", "--output", default="report.json", help="defaults to report.json")
    parser.add_argument("--plot", metavar="PNG", help="draw the curves")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Write the report and the plot, and print the table."""
    from kerasvit.errors import InputError
    from kerasvit.evaluation import METRICS, evaluate_files, write_plot, write_report
    from kerasvit.files import check_outputs
    from kerasvit.images import resolve
    from kerasvit.look.models import model_label, weights_sha256
    from kerasvit.saliency import METHODS

    methods = split_names(options.methods, "method", tuple(METHODS))
    metrics = split_names(options.metrics, "metric", (*METRICS, _NONE))
    own_options = parse_method_options(options.option, methods)
    paths = resolve(options.inputs)
    files = [pathlib.Path(name) for name in (options.output, options.plot) if name]
    check_outputs(files, overwrite=options.overwrite, inputs=paths, make_folders=True)
    model, preprocessing = load_resized_model(options, attention="none")
    report = evaluate_files(
        model,
        preprocessing,
        paths,
        methods,
        [name for name in metrics if name != _NONE],
        masks=options.masks,
        report=lambda line: print(f"kerasvit: {line}", file=sys.stderr),
        open_picture=lambda path: open_picture(options, path),
        target=options.target,
        options=own_options,
        baseline=options.baseline,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    facts = {"name": model_label(model, options.model), "weights_sha256": weights_sha256(model)}
    write_report({"model": facts, **report}, options.output, options.overwrite)
    if options.plot:
        write_plot(report, options.plot, options.overwrite)
    print(table(report))
    print(*files, sep="\n")
    return InputError.exit_code if report["failed"] else 0


def table(report) -> str:
    """Return a report's main numbers, a line for each method.

    Args:
        report: of `kerasvit.evaluation.evaluate_files`.
    """
    rows = [["method"], *([method] for method in _methods(report))]
    for metric, names in _COLUMNS.items():
        found = {method: _values(report, method, metric) for method in _methods(report)}
        for name in names:
            if any(name in values for values in found.values()):
                rows[0].append(f"{metric} {name}" if len(names) == 1 else name)
                for row in rows[1:]:
                    value = found[row[0]].get(name)
                    row.append("-" if value is None else f"{value:.3f}")
    rows[0].append("seconds")
    for row in rows[1:]:
        seconds = report["methods"].get(row[0], {}).get("seconds_per_picture")
        row.append("-" if seconds is None else f"{seconds:.3f}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([f"{report['n']} pictures", *lines])


def _methods(report) -> list[str]:
    return list(report["methods"] or report["masks"]["methods"])


def _values(report, method: str, metric: str) -> dict[str, float]:
    if metric == "masks":
        return report.get("masks", {}).get("methods", {}).get(method, {})
    return report["methods"].get(method, {}).get(metric, {})
