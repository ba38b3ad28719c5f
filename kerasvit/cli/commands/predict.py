"""`kerasvit predict`: the most probable classes of each picture."""

from kerasvit.cli.options import add_inputs, add_model, at_least, load_model, open_picture


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
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Print a line for each picture."""
    from kerasvit.cli.pictures import each_picture, shown
    from kerasvit.errors import UsageError
    from kerasvit.images import resolve
    from kerasvit.look.classes import describe, predictions

    paths = resolve(options.inputs)
    model, preprocessing = load_model(options, attention="none")
    if not model.num_classes:
        raise UsageError(
            f"A model without a head cannot predict classes. Received: {options.model!r}, which "
            "gives features. Fine-tune it with num_classes=..., or look: kerasvit saliency"
        )

    def load(path):
        return preprocessing.evaluate(open_picture(options, path)).pixels

    def work(path, pixels, progress):
        progress.line(f"{shown(path)}: {describe(predictions(model, pixels, options.top))}")

    return each_picture(paths, load, work, options.fail_fast)
