"""Which of a model's outputs stands for which folder of pictures."""

import functools
import importlib.resources
import os
import pathlib
import re
import tomllib
from collections.abc import Iterator, Sequence

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.inputs import SUFFIXES
from kerasvit.models.base import ScoreModel
from kerasvit.training.data.folders import PictureFolder

_IMAGENET_CLASSES = 1000
_WNID = re.compile(r"n\d{8}(?=[_\-.])")


@functools.cache
def imagenet_wnids() -> tuple[str, ...]:
    """Return the WordNet numbers of ImageNet-1k's classes, in the order of a model's outputs."""
    file = importlib.resources.files("kerasvit.configs") / "imagenet1k.toml"
    return tuple(tomllib.loads(file.read_text(encoding="ascii"))["wnids"].split())


def scan_for(
    model: ScoreModel, path: str | os.PathLike[str], split: str | None = None
) -> PictureFolder:
    """Find labelled pictures whose labels are numbers of a model's outputs.

    Folders are named by the model's class names, or, for a model of 1000 classes, by the WordNet
    numbers of ImageNet-1k (`n01440764`); not every class need have a folder. A folder without
    folders may hold pictures whose names begin with such a number (`n01440764_tench.jpg`); others
    are passed over. For a model that has no class names there must be a folder for each class,
    and their sorted order is that of the outputs.

    Args:
        model: a kerasvit model with a head.
        path: a folder or a zip, as for `PictureFolder.scan`.
        split: which of its splits; None where there are none.

    Raises:
        InputError: as `PictureFolder.scan`, or if the folders are not the model's classes.
        UsageError: if the model has no head, or values instead of classes.
    """
    if not model.num_classes:
        raise UsageError(
            "A model without a head has no classes. Received: num_classes=0. "
            "Judge its features by their neighbours, or fine-tune it."
        )
    if model.problem.is_regression:
        raise UsageError(
            "A regression has values, no classes that could be right. Received: "
            f"problem_type={model.problem_type!r}. Compare its values with your own labels."
        )
    if model.num_classes == _IMAGENET_CLASSES and split is None:
        flat = _pictures_named_by_wnid(pathlib.Path(path))
        if flat is not None:
            return flat
    errors = []
    for names in _namings(model):
        try:
            return PictureFolder.scan(path, split, names)
        except InputError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return _scan_in_order(model, path, split)


def _namings(model: ScoreModel) -> Iterator[Sequence[str]]:
    names = model.problem.names
    if len(names) == model.problem.num_classes == len(set(names)):
        yield names
    if model.num_classes == _IMAGENET_CLASSES:
        yield imagenet_wnids()


def _scan_in_order(model, path, split) -> PictureFolder:
    folder = PictureFolder.scan(path, split)
    num_classes = model.problem.num_classes
    if len(folder.class_names) != num_classes:
        raise InputError(
            f"The model has {num_classes} classes without names, so that {str(path)!r} must "
            f"have a folder for each. Received: {len(folder.class_names)} folders. "
            "Set model.record['class_names'] and save it again."
        )
    return folder


def _pictures_named_by_wnid(root: pathlib.Path) -> PictureFolder | None:
    """Return the pictures of a flat folder whose names begin with a class; None if none does."""
    if not os.path.isdir(root):
        return None
    number = {wnid: index for index, wnid in enumerate(imagenet_wnids())}
    labelled = []
    for path in sorted(root.iterdir()):
        match = _WNID.match(path.name)
        is_picture = path.suffix.lower() in SUFFIXES and os.path.isfile(path)
        if is_picture and match and match[0] in number:
            labelled.append((path, number[match[0]]))
    if not labelled:
        return None
    paths, labels = zip(*labelled, strict=True)
    return PictureFolder(paths, np.array(labels), imagenet_wnids())
