"""`kerasvit patches`: what a model sees of a picture, cut into its numbered patches."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasvit.cli.figures import add_figure
from kerasvit.cli.options import (
    add_fit,
    add_inputs,
    add_model,
    add_output,
    add_resize,
    load_explainer,
)

if TYPE_CHECKING:
    from kerasvit.images.inputs import PictureFile


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "patches", parents=[common], help="what a model sees: a picture as its numbered patches"
    )
    add_inputs(parser)
    add_model(parser)
    add_output(parser)
    add_resize(parser)
    add_fit(parser)
    parser.add_argument(
        "--format", metavar="FORMAT,...", default="png", help="png, pdf, svg; defaults to png"
    )
    add_figure(parser)
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Write a sheet of patches for each picture."""
    from kerasvit import look
    from kerasvit.cli.pictures import each_picture, find_pictures, shown
    from kerasvit.cli.values import parse_number, split_names
    from kerasvit.files import check_outputs
    from kerasvit.look.spelling import COMMAND
    from kerasvit.render.drawing import UNITS_AN_INCH
    from kerasvit.render.figures import FIGURE_FORMATS, write_figure
    from kerasvit.render.patches import patch_drawing

    kinds = split_names(options.format, "format", FIGURE_FORMATS)
    settings = look.Settings(
        method="attention",
        formats=kinds,
        resize=options.resize,
        fit=options.fit,
        frame=options.frame,
        max_pixels=options.max_pixels,
        dpi=parse_number(options.dpi),
        title=options.title,
        spelling=COMMAND,
    )
    pictures = find_pictures(options)
    paths = [picture.path for picture in pictures]
    files = plan_files(pictures, kinds, pathlib.Path(options.output))
    every = [file for own in files.values() for file in own.values()]
    check_outputs(every, overwrite=options.overwrite, inputs=paths, make_folders=True)
    explainer = load_explainer(options, settings)
    dpi = UNITS_AN_INCH if settings.dpi is None else settings.dpi

    def draw(path, picture, progress):
        title = path.stem if settings.title is None else settings.title
        pixels, said = picture.prepared.pixels, [explainer.label]
        arguments = {"title": title, "lines": said, "resolution": dpi / UNITS_AN_INCH}
        drawing = patch_drawing(explainer.model, pixels, **arguments)
        for kind, file in files[path].items():
            write_figure(file, drawing, kind, dpi=dpi, title=title, overwrite=options.overwrite)
            progress.line(shown(file))

    return each_picture(paths, explainer.open, draw, options.fail_fast)


def plan_files(
    pictures: "Sequence[PictureFile]", kinds: Sequence[str], folder: pathlib.Path
) -> dict[pathlib.Path, dict[str, pathlib.Path]]:
    """Return the files of each picture by format, where `kerasvit saliency` has its own."""
    from kerasvit.look.planning.places import output_places

    taken: set[str] = set()
    files = {}
    for picture, (*folders, name) in zip(pictures, output_places(pictures), strict=True):
        for number in itertools.count(1):
            stem = name if number == 1 else f"{name}_{number}"
            place = folder.joinpath(*folders, f"{stem}.patches")
            if str(place).casefold() not in taken:
                break
        taken.add(str(place).casefold())
        files[picture.path] = {kind: place.with_name(f"{place.name}.{kind}") for kind in kinds}
    return files
