"""`kerasvit predict`: what each picture shows: classes, labels, yes or no, or values."""

from kerasvit.cli.options import (
    add_inputs,
    add_model,
    at_least,
    load_model,
    open_picture,
    probability,
)
from kerasvit.cli.speech import tell


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "predict", parents=[common], help="the most probable classes of pictures"
    )
    add_inputs(parser)
    add_model(parser)
    parser.add_argument(
        "--top", type=at_least(1), default=5, help="how many classes; defaults to 5"
    )
    parser.add_argument(
        "--threshold",
        type=probability,
        metavar="P",
        help="of a model with many labels: print those from this probability on; defaults to 0.5",
    )
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Print a line for each picture."""
    from kerasvit.cli.pictures import each_picture, find_pictures, shown
    from kerasvit.errors import UsageError
    from kerasvit.look.classes import describe_outcome, predictions
    from kerasvit.models.problem import THRESHOLD

    pictures = {picture.path: picture.name for picture in find_pictures(options)}
    model, preprocessing = load_model(options, attention="none")
    if not model.num_classes:
        raise UsageError(
            f"A model without a head cannot predict classes. Received: {options.model!r}, which "
            "gives features. Fine-tune it with num_classes=..., or look: kerasvit saliency"
        )
    problem = model.problem
    if options.threshold is not None and not problem.has_many_labels:
        raise UsageError(
            "A threshold chooses among many labels. Received: --threshold "
            f"{options.threshold:g} for {problem.description}. Leave it out"
        )
    threshold = THRESHOLD if options.threshold is None else options.threshold
    if problem.note:
        tell(f"kerasvit: {problem.note}")

    def load(path):
        return preprocessing.evaluate(open_picture(options, path)).pixels

    def work(path, pixels, progress):
        found = predictions(model, pixels, options.top, threshold)
        progress.line(f"{shown(pictures[path])}: {describe_outcome(model, found, threshold)}")

    return each_picture(list(pictures), load, work, options.fail_fast)
