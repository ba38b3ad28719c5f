"""`kerasvit probe`: what a model holds, with and without pictures."""

import argparse
import pathlib
from typing import Any

from kerasvit.cli.options import (
    add_inputs,
    add_model,
    add_output,
    add_resize,
    load_resized_model,
)
from kerasvit.cli.prober import SHOWN, Picture, Prober
from kerasvit.cli.speech import say

WEIGHTS = ("positions", "filters")
PICTURES = ("distance", "entropy", "sinks", "features")
SIMILARITY = "similarity"
PROBES = (*WEIGHTS, *PICTURES, SIMILARITY)


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "probe", parents=[common], help="what a model's layers and weights hold"
    )
    add_inputs(parser, optional=True)
    add_model(parser)
    add_output(parser)
    parser.add_argument(
        "--probes",
        metavar="PROBE,...",
        help="positions (similarity of position embeddings), filters (principal components of the "
        "patch embedding); of pictures: distance and entropy of the attention, sinks (tokens "
        "that all attend to, and patches of unusual length), features (as colours, and the length "
        "of the tokens), similarity (CKA of the layers); defaults to all that the inputs allow",
    )
    parser.add_argument(
        "--against", metavar="MODEL", help="another model, whose layers are compared by CKA"
    )
    add_resize(parser)
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Write a picture for each probe, and the numbers of all to `probes.npz`."""
    from kerasvit.cli.pictures import find_pictures
    from kerasvit.files import check_outputs, write_npz
    from kerasvit.look.models import model_label

    paths = [picture.path for picture in find_pictures(options)]
    probes = choose_probes(options, len(paths))
    folder = pathlib.Path(options.output)
    files = {name: folder / f"{name}.png" for name in probes} | {"arrays": folder / "probes.npz"}
    check_outputs(files.values(), overwrite=options.overwrite, inputs=paths, make_folders=True)
    model, preprocessing = load_resized_model(options, attention="none")
    pictures, code = load_pictures(options, paths, preprocessing)
    prober = Prober(model, model_label(model, options.model), pictures, options)
    arrays: dict[str, Any] = {}
    if not options.probes:
        probes = tuple(name for name in probes if not prober.lacks(name))
    for name in probes:
        arrays |= getattr(prober, name)(files[name])
        say(files[name])
    write_npz(files["arrays"], arrays, options.overwrite)
    say(files["arrays"])
    return code


def choose_probes(options: argparse.Namespace, count: int) -> tuple[str, ...]:
    """Return the probes that are asked for, or all that so many pictures allow.

    Raises:
        UsageError: if a probe is unknown, or needs pictures and there are none.
    """
    from kerasvit.cli.values import split_names
    from kerasvit.errors import UsageError
    from kerasvit.saliency.probes.survey import FEWEST_PICTURES

    if options.probes:
        chosen = split_names(options.probes, "probe", PROBES)
    else:
        enough = count >= FEWEST_PICTURES or options.against
        chosen = (*WEIGHTS, *(PICTURES if count else ()), *((SIMILARITY,) if enough else ()))
    missing = [name for name in chosen if name not in WEIGHTS and not count]
    if missing:
        raise UsageError(
            f"The probes {', '.join(missing)} need pictures. Received: none. "
            "Name pictures, folders or sample:NAME"
        )
    return chosen


def load_pictures(options, paths, preprocessing) -> tuple[list[Picture], int]:
    """Read the pictures in the evaluation's crop; a bad one is named, and the others go on.

    Returns:
        The pictures, with the photographs of the first ones alone; and the exit code.

    Raises:
        InputError: if none can be read.
    """
    from kerasvit.cli.options import open_picture
    from kerasvit.cli.pictures import each_picture
    from kerasvit.errors import InputError

    pictures: list[Picture] = []

    def load(path):
        image = open_picture(options, path)
        return image, preprocessing.evaluate(image)

    def keep(path, loaded, progress):
        image, prepared = loaded
        pictures.append(Picture(path, image if len(pictures) < SHOWN else None, prepared))

    code = each_picture(paths, load, keep, options.fail_fast) if paths else 0
    if paths and not pictures:
        raise InputError("None of the pictures can be read. See the messages above")
    return pictures, code
