"""`kerasvit evaluate-saliency`: how good methods are for a model, as tables and a plot."""

import pathlib

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
from kerasvit.cli.speech import say, say_table
from kerasvit.cli.values import parse_method_options, split_names

_NONE = "none"


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
    _add_protocol(parser)
    parser.set_defaults(run=run, needs_keras=True)


def _add_protocol(parser) -> None:
    """Add how is measured, and what is written."""
    parser.add_argument(
        "--baseline",
        choices=("mean", "black", "blur"),
        default="mean",
        help="what takes the place of pixels in the perturbation; defaults to mean",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all that is random")
    parser.add_argument("--batch-size", type=at_least(1), default=8, help="defaults to 8")
    parser.add_argument(
        "--reference",
        metavar="METHOD",
        help="the method that the others are compared with; defaults to the first",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="report.json",
        metavar="FILE",
        help="all of the report as .json, or its figures as .csv; defaults to report.json",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the curves with 95 %% bands as .png, .pdf or .svg"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(options) -> int:
    """Write the report and the plot, and print the tables."""
    from kerasvit.cli.pictures import find_pictures
    from kerasvit.cli.progress import Steps
    from kerasvit.cli.reports.tables import report_text
    from kerasvit.errors import InputError
    from kerasvit.evaluation import evaluate_files, write_plot, write_report
    from kerasvit.files import check_outputs
    from kerasvit.look.models import model_facts, model_label

    methods, metrics = _names(options)
    own_options = parse_method_options(options.option, methods)
    paths = [picture.path for picture in find_pictures(options)]
    files = [pathlib.Path(name) for name in (options.output, options.plot) if name]
    check_outputs(files, overwrite=options.overwrite, inputs=paths, make_folders=True)
    model, preprocessing = load_resized_model(options, attention="none")
    steps = len(methods) * (1 + len(metrics)) * bool(metrics) + len(paths) * bool(options.masks)
    with Steps(steps) as progress:
        report = evaluate_files(
            model,
            preprocessing,
            paths,
            methods,
            metrics,
            masks=options.masks,
            report=progress.say,
            advance=progress.advance,
            open_picture=lambda path: open_picture(options, path),
            target=options.target,
            options=own_options,
            baseline=options.baseline,
            seed=options.seed,
            batch_size=options.batch_size,
            reference=options.reference,
        )
    facts = model_facts(model, model_label(model, options.model))
    write_report({"model": facts, **report}, options.output, options.overwrite)
    if options.plot:
        write_plot(report, options.plot, options.overwrite)
    say_table(report_text(report))
    say(*files)
    return InputError.exit_code if report["failed"] else 0


def _names(options) -> tuple[tuple[str, ...], list[str]]:
    """Return the methods and metrics, when all that can be refused has been.

    Raises:
        UsageError: if a name is unknown, or a file's ending cannot be honoured.
    """
    from kerasvit.errors import UsageError
    from kerasvit.evaluation import METRICS, check_reference
    from kerasvit.evaluation.files import PLOTS, REPORTS, ending_of
    from kerasvit.evaluation.plot import CURVED
    from kerasvit.saliency import METHODS

    methods = split_names(options.methods, "method", tuple(METHODS))
    chosen = split_names(options.metrics, "metric", (*METRICS, _NONE))
    metrics = [name for name in chosen if name != _NONE]
    check_reference(options.reference, methods)
    ending_of(options.output, REPORTS, "a report")
    if options.plot:
        ending_of(options.plot, PLOTS, "a plot")
        if not set(CURVED) & set(metrics):
            raise UsageError(
                f"A plot shows the curves of {' and '.join(CURVED)}. Received: --plot with "
                f"--metrics {options.metrics}. Ask for one of these metrics, or leave out --plot"
            )
    return methods, metrics
