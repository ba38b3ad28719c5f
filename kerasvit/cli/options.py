"""Options that several commands share, and the reading of their values."""

import argparse
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

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
        help=f"{what}, folders, globs, or sample:NAME (photographs of scikit-image, such as "
        "sample:chelsea)",
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


def at_least(lowest: int):
    """Return a type for `argparse`: an int that is not below `lowest`."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}. Received: {text}")
        return number

    return whole_number


def add_output(parser: argparse.ArgumentParser, default: str = "out") -> None:
    """Add `-o`, a folder, and `--overwrite`."""
    parser.add_argument("-o", "--output", default=default, help=f"folder; defaults to {default}")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def split_names(text: str, what: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a list separated by commas, each once.

    Args:
        text: such as `attention,rollout`.
        what: what a name stands for, in a message.
        known: the names there are.

    Raises:
        UsageError: if there is no name, or one that is not known; the message lists these.
    """
    from kerasvit.errors import UsageError

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no such {what}. Received: {', '.join(map(repr, unknown)) or 'none'}. "
            f"Choose among {', '.join(known)}, separated by commas"
        )
    return names


def parse_number(text: str | None) -> Any:
    """Return an int or a float where the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def parse_query(text: str) -> str | tuple[int, int]:
    """Return "class" and the like, or `(row, column)` of "3,5"; "cls" and "dist" are short names.

    Raises:
        UsageError: if the text has a comma and is no such pair.
    """
    from kerasvit.errors import UsageError

    if "," not in text:
        return {"cls": "class", "dist": "distillation"}.get(text, text)
    parts = [parse_number(part) for part in text.split(",")]
    if len(parts) != 2 or not all(isinstance(part, int) for part in parts):
        raise UsageError(
            f"A query patch is ROW,COLUMN. Received: --query {text!r}. For instance: --query 3,5"
        )
    return parts[0], parts[1]


def parse_method_options(
    texts: Sequence[str], methods: Sequence[str]
) -> Mapping[str, dict[str, Any]]:
    """Return the options of each method, by method and name.

    Args:
        texts: such as `rollout.discard=0.9`.
        methods: those that are asked for.

    Raises:
        UsageError: if a text has another form, or its method is not asked for.
    """
    from kerasvit.errors import UsageError

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, _, value = text.partition("=")
        method, _, name = place.partition(".")
        if not (name and value) or method not in methods:
            raise UsageError(
                "An option is METHOD.NAME=VALUE, of a method that is asked for "
                f"({', '.join(methods)}). Received: --option {text!r}. "
                "For instance: --option rollout.discard=0.9"
            )
        found.setdefault(method, {})[name] = parse_number(value)
    return found


def load_model(options: argparse.Namespace, **view):
    """Load the model of `-m` into a process that will run it; return it with its preprocessing.

    Raises:
        UsageError: if the model's record does not say how pictures are prepared for it.
    """
    from kerasvit.images.records import recorded_preprocessing
    from kerasvit.memory import reuse_memory
    from kerasvit.pretrained import from_pretrained

    model = from_pretrained(options.model, **view)
    reuse_memory()
    return model, recorded_preprocessing(model.record, options.model)


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


def model_label(model, name: str) -> str:
    """Return what outputs call the model: its release, or the file's name."""
    return model.record.get("release") or pathlib.Path(name).name


def open_picture(options: argparse.Namespace, path: pathlib.Path):
    """Read one picture as `--frame` and `--max-pixels` say; uint8 `(H, W, 3)`."""
    from PIL import Image

    from kerasvit.images import read
    from kerasvit.images.reading import MAX_PIXELS

    limit = options.max_pixels or MAX_PIXELS
    # Pillow refuses on its own what is twice its limit; ours has been asked for.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limit)
    return read(path, max_pixels=limit, frame=options.frame)
