"""`kerasvit probe`: what a model holds, with and without pictures."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from kerasvit.cli.options import (
    add_inputs,
    add_model,
    add_output,
    add_resize,
    load_resized_model,
)
from kerasvit.cli.speech import say
from kerasvit.wording import counted

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

WEIGHTS = ("positions", "filters")
PICTURES = ("distance", "entropy", "features")
SIMILARITY = "similarity"
PROBES = (*WEIGHTS, *PICTURES, SIMILARITY)
_SHOWN = 8
_FILTERS = 28


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
        "patch embedding); of pictures: distance and entropy of the attention, features (as "
        "colours, and the length of the tokens), similarity (CKA of the layers); defaults to all "
        "that the inputs allow",
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


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that could be read: where it is, what it shows, and what the model sees of it."""

    path: pathlib.Path
    image: Any
    prepared: Any


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
        pictures.append(Picture(path, image if len(pictures) < _SHOWN else None, prepared))

    code = each_picture(paths, load, keep, options.fail_fast) if paths else 0
    if paths and not pictures:
        raise InputError("None of the pictures can be read. See the messages above")
    return pictures, code


class Prober:
    """Measures and draws; each method takes the PNG to write and returns arrays by name.

    Args:
        model: a kerasvit model.
        label: what it is called.
        pictures: see `load_pictures`.
        options: of the command line.
    """

    def __init__(self, model: "ScoreModel", label: str, pictures: list[Picture], options) -> None:
        self.model, self.label, self.pictures = model, label, pictures
        self.options = options
        self.surveyed: dict[str, dict[str, Any]] | None = None

    def positions(self, file: pathlib.Path) -> dict[str, Any]:
        """How alike the position embeddings are."""
        from kerasvit.render import write_png
        from kerasvit.render.probes import similarity_sheet
        from kerasvit.saliency import position_similarity

        values = position_similarity(self.model)
        sheet = similarity_sheet(values, "cosine of the position embeddings", [self.label])
        write_png(file, sheet, self.options.overwrite)
        return {"positions": values.astype("float32")}

    def filters(self, file: pathlib.Path) -> dict[str, Any]:
        """The principal components of the filters that embed patches."""
        from kerasvit.render import write_png
        from kerasvit.render.probes import filter_sheet
        from kerasvit.saliency import patch_filters

        height, width = self.model.patch_size
        count = min(_FILTERS, self.model.hidden_dim, 3 * height * width)
        values = patch_filters(self.model, count)
        title = "principal components of the patch embedding"
        write_png(file, filter_sheet(values, title, [self.label]), self.options.overwrite)
        return {"filters": values.astype("float32")}

    def distance(self, file: pathlib.Path) -> dict[str, Any]:
        """How far each head looks."""
        return self._measure(file, "distance", "mean distance in pixels of the input")

    def entropy(self, file: pathlib.Path) -> dict[str, Any]:
        """How widely each head looks."""
        return self._measure(file, "entropy", "entropy in bits")

    def _measure(self, file: pathlib.Path, name: str, label: str) -> dict[str, Any]:
        from kerasvit.render.probes import measure_plot
        from kerasvit.saliency.probes.survey import survey_attention

        if self.surveyed is None:
            self.surveyed = survey_attention(self.model, self._pixels(self.pictures))
        values = self.surveyed[name]
        title = f"attention of {self.label}, {self._count()}"
        measure_plot(file, values, label, title, self.options.overwrite)
        return {f"{name}_{key}": heads for key, heads in values.items()}

    def features(self, file: pathlib.Path) -> dict[str, Any]:
        """The features of the last block as colours, and the length of its tokens."""
        import numpy as np

        from kerasvit.render import write_png
        from kerasvit.render.probes import feature_sheet
        from kerasvit.saliency import block_outputs, pca_to_rgb, token_norms

        shown = self.pictures[:_SHOWN]
        pixels = np.stack([picture.prepared.pixels for picture in shown])
        (tokens,) = block_outputs(self.model, pixels, batch_size=1).values()
        layout = self.model.token_layout(pixels.shape[1:])
        colours, norms = pca_to_rgb(tokens, layout), token_norms(tokens, layout)
        images = [picture.image for picture in shown]
        geometries = [picture.prepared.geometry for picture in shown]
        title = "features after the last self-attention block"
        sheet = feature_sheet(images, geometries, colours, norms, title, [self.label])
        write_png(file, sheet, self.options.overwrite)
        return {"features": colours.astype("float32"), "norms": norms}

    def similarity(self, file: pathlib.Path) -> dict[str, Any]:
        """How alike the layers are, of one model or of two."""
        from kerasvit.render.probes import matrix_plot
        from kerasvit.saliency.probes.survey import compare_layers, survey_features

        first = survey_features(self.model, self._pixels(self.pictures))
        second, label = first, self.label
        if self.options.against:
            second, label = self._other_features()
        values = compare_layers(first, second)
        title = f"linear CKA of the mean patch, {self._count()}"
        labels = (self.label, label)
        matrix_plot(file, values, list(first), list(second), labels, title, self.options.overwrite)
        return {"similarity": values}

    def _other_features(self) -> tuple[dict[str, Any], str]:
        """Return the features of the other model on the same pictures, read again for it."""
        from kerasvit.cli.options import open_picture
        from kerasvit.look.models import model_label
        from kerasvit.saliency.probes.survey import survey_features

        other = argparse.Namespace(**{**vars(self.options), "model": self.options.against})
        model, preprocessing = load_resized_model(other, attention="none")
        pixels = (
            preprocessing.evaluate(open_picture(other, picture.path)).pixels
            for picture in self.pictures
        )
        return survey_features(model, pixels), model_label(model, other.model)

    def _pixels(self, pictures: list[Picture]):
        return (picture.prepared.pixels for picture in pictures)

    def _count(self) -> str:
        return counted(len(self.pictures), "picture")
