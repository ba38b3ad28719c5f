"""`kerasvit predict`: the most probable classes of each picture."""

from kerasvit.cli.options import add_inputs, add_model, load_model


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "predict", parents=[common], help="the most probable classes of pictures"
    )
    add_inputs(parser)
    add_model(parser)
    parser.add_argument("--top", type=int, default=5, help="how many classes; defaults to 5")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Print a line for each picture."""
    from kerasvit.cli.pictures import each_picture
    from kerasvit.errors import UsageError
    from kerasvit.images import read, resolve

    paths = resolve(options.inputs)
    model, preprocessing = load_model(options, attention="none")
    if not model.num_classes:
        raise UsageError(
            f"A model without a head cannot predict classes. Received: {options.model!r}, which "
            "gives features. Fine-tune it with num_classes=..., or look: kerasvit saliency"
        )

    def work(path):
        print(f"{path}: {describe(predictions(model, preprocessing, read(path), options.top))}")

    return each_picture(paths, work, options.fail_fast)


def predictions(model, preprocessing, image, count: int) -> list[tuple[str, float]]:
    """Return the most probable classes of one picture, prepared as for evaluation.

    Args:
        model: a model with a head.
        preprocessing: its `Preprocessing`.
        image: uint8 `(H, W, 3)`.
        count: how many classes.
    """
    from kerasvit.cli.pictures import top_classes
    from kerasvit.saliency.backends import to_numpy

    pixels = preprocessing.evaluate(image).pixels[None]
    return top_classes(model, to_numpy(model(pixels, training=False)[0])[0], count)


def describe(classes: list[tuple[str, float]]) -> str:
    """Return classes and probabilities in one line."""
    return ", ".join(f"{name} {probability:.1%}" for name, probability in classes)
