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


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the pictures to work on."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="pictures, folders, globs, or sample:NAME (photographs of scikit-image, such as "
        "sample:chelsea)",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="stop at the first picture that cannot be read"
    )


def load_model(options: argparse.Namespace, **view):
    """Load the model of `-m`, and return it with its preprocessing.

    Raises:
        UsageError: if the model's record does not say how pictures are prepared for it.
    """
    from kerasvit.errors import UsageError
    from kerasvit.images import Preprocessing
    from kerasvit.pretrained import from_pretrained

    model = from_pretrained(options.model, **view)
    preprocessing = model.record.get("preprocessing")
    if not preprocessing:
        raise UsageError(
            f"The record of {options.model!r} has no preprocessing; pictures must be prepared as "
            "in training. Received: a model without it. Set model.record['preprocessing'] (see "
            "kerasvit.images.Preprocessing) and save it again"
        )
    return model, Preprocessing.from_dict(preprocessing)


def model_label(model, name: str) -> str:
    """Return what outputs call the model: its release, or the file's name."""
    return model.record.get("release") or pathlib.Path(name).name
