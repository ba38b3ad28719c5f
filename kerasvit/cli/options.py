"""Options that several commands share."""

import argparse
import pathlib

from kerasvit.releases import EMBEDDED


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `-m`: the model that runs."""
    parser.add_argument(
        "-m",
        "--model",
        default=EMBEDDED,
        help="a .keras file of kerasvit, or a release; defaults to the small CaiT in the package, "
        f"{EMBEDDED}",
    )
    add_precision(parser)


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add `--precision`: what the layers compute in."""
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        help="what layers compute in, weights being kept in float32; defaults to what the model "
        "says; lower ones are faster where the processor has them",
    )


def add_inputs(
    parser: argparse.ArgumentParser, what: str = "pictures", optional: bool = False
) -> None:
    """Add the pictures to work on, and how they are read.

    Args:
        parser: of the command.
        what: the kinds of files it takes.
        optional: whether there may be none.
    """
    parser.add_argument(
        "inputs",
        nargs="*" if optional else "+",
        metavar="INPUT",
        help=f"{what}, folders, globs, https://..., - (the standard input), or sample:NAME "
        "(photographs of scikit-image, such as sample:chelsea)",
    )
    parser.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="go through folders with all folders below them; what is left out is named, and does "
        "not change the exit code, which is 3 if a picture that was chosen cannot be read",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="stop at the first picture that cannot be read"
    )
    parser.add_argument(
        "--frame",
        type=at_least(0),
        help="which frame of an animation or page of a TIFF, from 0; defaults to the first",
    )
    parser.add_argument(
        "--max-pixels",
        type=at_least(1),
        metavar="N",
        help="largest width x height that is decoded; defaults to 89478485",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add `--class` and `--option`: what methods explain, and their own options."""
    parser.add_argument(
        "--class",
        dest="target",
        default=None,
        metavar="CLASS",
        help="class that methods by class explain: top1, its name or its number; defaults to top1, "
        "or the feature of a model without classes",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="an option of a method, such as rollout.discard=0.9 or rise.masks=200; may be given "
        "several times",
    )


def add_resize(parser: argparse.ArgumentParser) -> None:
    """Add `--resize`: how large the model sees pictures."""
    parser.add_argument(
        "--resize",
        type=at_least(1),
        metavar="N",
        help="shorter side in pixels that the model sees; defaults to the size of its training",
    )


def add_fit(parser: argparse.ArgumentParser) -> None:
    """Add `--fit`: how a picture becomes the model's input."""
    parser.add_argument(
        "--fit",
        choices=("aspect", "crop", "exact"),
        default="aspect",
        help="the whole picture (default), the evaluation's crop, or its own pixels",
    )


def at_least(lowest: int):
    """Return a type for `argparse`: an int that is not below `lowest`."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}. Received: {text}")
        return number

    return whole_number


def probability(text: str) -> float:
    """Read a number in [0, 1], a type for `argparse`."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must lie from 0 to 1. Received: {text}")
    return number


def add_output(parser: argparse.ArgumentParser, default: str = "out") -> None:
    """Add `-o`, a folder, and `--overwrite`."""
    parser.add_argument("-o", "--output", default=default, help=f"folder; defaults to {default}")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def load_model(options: argparse.Namespace, **view):
    """Load the model of `-m` into a process that will run it; return it with its preprocessing.

    Raises:
        UsageError: if the model's record does not say how pictures are prepared for it.
    """
    from kerasvit import look
    from kerasvit.memory import reuse_memory

    loaded = look.load_model(options.model, precision=options.precision, **view)
    reuse_memory()
    return loaded.model, loaded.preprocessing


def load_explainer(options: argparse.Namespace, settings):
    """Load the model of `-m` for what draws from its features; return a `look.Explainer`.

    Raises:
        UsageError: as `load_model`.
    """
    from kerasvit import look
    from kerasvit.memory import reuse_memory

    loaded = look.load_model(options.model, precision=options.precision, attention="none")
    reuse_memory()
    return look.Explainer(loaded, settings)


def load_resized_model(options: argparse.Namespace, **view):
    """Return what `load_model` does, prepared for the evaluation's crop at the size of `--resize`.

    Raises:
        UsageError: as `load_model`.
    """
    import dataclasses

    from kerasvit.images.cropping import aspect_size

    model, preprocessing = load_model(options, **view)
    if options.resize:
        size = aspect_size(preprocessing.image_size, options.resize, model.patch_size)
        preprocessing = dataclasses.replace(preprocessing, image_size=size)
    return model, preprocessing


def open_picture(options: argparse.Namespace, path: pathlib.Path):
    """Read one picture as `--frame` and `--max-pixels` say; uint8 `(H, W, 3)`."""
    from kerasvit.look import pictures

    return pictures.open_picture(path, options.frame, options.max_pixels)
