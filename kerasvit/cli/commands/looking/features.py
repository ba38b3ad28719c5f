"""`kerasvit features`: components, likeness and matches of the patches of several pictures."""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

from kerasvit.cli.figures import add_figure
from kerasvit.cli.options import (
    add_fit,
    add_inputs,
    add_model,
    add_output,
    add_resize,
    at_least,
    load_explainer,
)
from kerasvit.cli.speech import say

if TYPE_CHECKING:
    from kerasvit.features import PatchFeatures
    from kerasvit.render.features.results import FeatureResult

# What each kind can be written as, and is if nothing is asked for.
_FIGURES = ("png", "pdf", "svg", "npz")
FORMATS = {"pca": _FIGURES, "similarity": (*_FIGURES, "html"), "match": (*_FIGURES, "json")}
USUAL = {"pca": "png,npz", "similarity": "png,npz", "match": "png,npz,json"}
# Which options concern which kinds, and how they are typed.
CONCERNS = {
    "threshold": ("--threshold", ("pca", "match")),
    "foreground": ("--foreground", ("pca", "match")),
    "patch": ("--patch", ("similarity",)),
    "pixel": ("--pixel", ("similarity",)),
    "top": ("--top", ("match",)),
    "foreground_only": ("--foreground-only", ("match",)),
}
_PAIRS = 50


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "features",
        parents=[common],
        help="features of patches: components as colours, likeness to a patch, matches",
    )
    parser.add_argument(
        "kind",
        choices=tuple(FORMATS),
        metavar="pca|similarity|match",
        help="pca: the foreground, and colours that mean the same in all pictures; similarity: how "
        "alike all patches are to one of the first picture; match: which patches of two pictures "
        "are each other's nearest",
    )
    add_inputs(parser)
    add_model(parser)
    add_output(parser)
    add_resize(parser)
    add_fit(parser)
    parser.add_argument(
        "--block",
        type=int,
        default=-1,
        metavar="N",
        help="the self-attention block whose output is read; defaults to -1, the last",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT,...",
        help="png, pdf, svg, npz (arrays), json (the pairs of match), html (a page where the patch "
        "under the pointer asks, of similarity); defaults to png,npz and the pairs",
    )
    _add_own(parser)
    add_figure(parser)
    parser.set_defaults(run=run, needs_keras=True)


def _add_own(parser) -> None:
    """Add the options that concern one kind or two."""
    parser.add_argument(
        "--patch", metavar="ROW,COLUMN", help="similarity: the patch of the first picture that asks"
    )
    parser.add_argument(
        "--pixel",
        metavar="ROW,COLUMN",
        help="similarity: a pixel of the first photograph, whose patch asks; without either, the "
        "patch in the middle",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="pca, match: the foreground is above so many standard deviations of the first "
        "component; defaults to 0",
    )
    parser.add_argument(
        "--foreground",
        choices=("auto", "high", "low"),
        help="pca, match: which end of the first component it is; defaults to the one that the "
        "pictures' borders are not at",
    )
    parser.add_argument(
        "--top",
        type=at_least(1),
        metavar="N",
        help=f"match: how many pairs are kept, the most alike; defaults to {_PAIRS}",
    )
    parser.add_argument(
        "--foreground-only",
        action="store_const",
        const=True,
        help="match: only patches of the foreground",
    )


def run(options) -> int:
    """Write what is asked for of all pictures together."""
    from kerasvit.cli.pictures import find_pictures
    from kerasvit.cli.values import split_names
    from kerasvit.errors import UsageError
    from kerasvit.files import check_outputs

    check_options(options)
    usual = USUAL[options.kind]
    formats = split_names(options.format or usual, "format", FORMATS[options.kind])
    paths = [picture.path for picture in find_pictures(options)]
    if options.kind == "match" and len(paths) != 2:
        raise UsageError(
            f"Matches are found between two pictures. Received: {len(paths)}. Name two"
        )
    folder = pathlib.Path(options.output)
    files = {kind: folder / f"{options.kind}.{kind}" for kind in formats}
    settings = _settings(options, formats)
    check_outputs(files.values(), overwrite=options.overwrite, inputs=paths, make_folders=True)
    pictures, label, code = _extract(options, settings, paths)
    result = _find(options, pictures, label)
    title = options.kind if settings.title is None else settings.title
    look: dict[str, Any] = {"title": title, "lines": [label], "dpi": settings.dpi}
    result.write(files, **look, overwrite=options.overwrite)
    for file in files.values():
        say(file)
    return code


def check_options(options: argparse.Namespace) -> None:
    """Raise `UsageError` if an option has no meaning for what is drawn, or two contradict."""
    from kerasvit.errors import UsageError

    for name, (spelling, kinds) in CONCERNS.items():
        if getattr(options, name) is not None and options.kind not in kinds:
            raise UsageError(
                f"The option {spelling} is for {' and '.join(kinds)}. Received: {spelling} with "
                f"{options.kind}. Leave it out"
            )
    if options.patch is not None and options.pixel is not None:
        raise UsageError("One patch asks. Received: --patch and --pixel. Leave one of them out")
    if options.kind == "match" and not options.foreground_only:
        for name in ("threshold", "foreground"):
            if getattr(options, name) is not None:
                raise UsageError(
                    f"Without --foreground-only all patches are matched. Received: --{name}. "
                    "Add --foreground-only"
                )


def _settings(options: argparse.Namespace, formats: tuple[str, ...]) -> Any:
    from kerasvit import look
    from kerasvit.cli.values import parse_number
    from kerasvit.look.spelling import COMMAND
    from kerasvit.render.figures import FIGURE_FORMATS

    figures = tuple(kind for kind in formats if kind in FIGURE_FORMATS)
    return look.Settings(
        method="attention",
        formats=figures or ("npz",),
        resize=options.resize,
        fit=options.fit,
        frame=options.frame,
        max_pixels=options.max_pixels,
        dpi=parse_number(options.dpi) if figures else None,
        title=options.title,
        spelling=COMMAND,
    )


def _extract(
    options: argparse.Namespace, settings: Any, paths: list[pathlib.Path]
) -> tuple[list["PatchFeatures"], str, int]:
    """Return the features of the pictures that can be read, the model's label, the exit code."""
    from kerasvit import features
    from kerasvit.cli.pictures import each_picture
    from kerasvit.errors import InputError

    explainer = load_explainer(options, settings)
    found: dict[pathlib.Path, PatchFeatures] = {}

    def keep(path, picture, progress):
        found[path] = features.extract_prepared(
            explainer.model, picture.prepared, picture.image, path.name, block=options.block
        )

    # Of one picture less there would be another result, or none.
    fail_fast = options.fail_fast or options.kind == "match"
    code = each_picture(paths, explainer.open, keep, fail_fast)
    if options.kind == "similarity" and paths[0] not in found:
        raise InputError(
            "The patch that asks lies in the first picture, which cannot be read. "
            f"Received: {str(paths[0])!r}. See the message above"
        )
    return list(found.values()), explainer.label, code


def _find(
    options: argparse.Namespace, pictures: list["PatchFeatures"], label: str
) -> "FeatureResult":
    """Return what is asked for of these pictures."""
    from kerasvit import features
    from kerasvit.render.features.results import FeatureResult

    if options.kind == "similarity":
        patch = _asking_patch(options, pictures[0])
        maps = features.similarity(pictures, patch)
        return FeatureResult.of_similarity(pictures, maps, patch, label)
    masks = None
    if options.kind == "pca" or options.foreground_only:
        threshold, end = options.threshold or 0.0, options.foreground or "auto"
        components = features.pca(pictures, threshold=threshold, foreground=end)
        if options.kind == "pca":
            return FeatureResult.of_pca(pictures, components, label)
        masks = components.masks[0], components.masks[1]
    first, second = pictures
    matches = features.match(first, second, top=options.top or _PAIRS, masks=masks)
    return FeatureResult.of_matches(pictures, matches, label)


def _asking_patch(options: argparse.Namespace, picture: "PatchFeatures") -> tuple[int, int]:
    from kerasvit.cli.values import parse_pair

    if options.patch is not None:
        return parse_pair(options.patch, "--patch", "3,5")
    if options.pixel is not None:
        return picture.patch_at(parse_pair(options.pixel, "--pixel", "120,200"))
    return picture.grid[0] // 2, picture.grid[1] // 2
