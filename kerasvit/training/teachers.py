"""The teacher of a recipe: run along, or its tokens computed once and moved with the pictures."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from kerasvit.errors import InputError, UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.pretrained import from_pretrained
from kerasvit.training.augmentation import Moves
from kerasvit.training.distillation import DistilledTraining
from kerasvit.training.losses import FeatureDistillation, SoftDistillation
from kerasvit.training.recipe_tables import Distillation
from kerasvit.training.teacher_features import TeacherFeatures, precompute_features

Follow = Callable[[np.ndarray, Moves, tuple[int, int]], dict[str, np.ndarray]]


def with_teacher(
    student: ScoreModel,
    settings: Distillation,
    preprocessing: Preprocessing,
    images: np.ndarray | None,
    folder: pathlib.Path,
) -> tuple[keras.Model, Follow | None]:
    """Return the model that trains in the student's place.

    Args:
        student: the model that is kept.
        settings: of the recipe.
        preprocessing: the student's.
        images: uint8 `(N, h, w, 3)`, all training pictures, for features.
        folder: where the teacher's features are kept, unless the recipe names a file.

    Returns:
        The student itself without distillation, else a `DistilledTraining`; and for features the
        function from numbers of pictures, their moves and the student's grid to targets.

    Raises:
        InputError: if kept features are those of other pictures.
        UsageError: if the teacher's record does not say how pictures are prepared for it.
    """
    if settings.kind == "none":
        return student, None
    if settings.kind == "features":
        features = _features(settings, images, folder)
        loss = FeatureDistillation(settings.distance)
        training = DistilledTraining(
            student,
            "features",
            weight=settings.weight,
            teacher_loss=loss,
            feature_width=features.width,
            block=settings.block,
        )
        return training, functools.partial(_follow, features, student.patch_size)
    teacher = from_pretrained(settings.teacher, attention="none")
    theirs = _preprocessing(teacher, settings)
    loss = SoftDistillation(settings.temperature) if settings.kind == "soft" else None
    training = DistilledTraining(
        student,
        settings.kind,
        teacher,
        settings.weight,
        loss,
        functools.partial(_renormalise, preprocessing, theirs),
    )
    return training, None


def _features(
    settings: Distillation, images: np.ndarray | None, folder: pathlib.Path
) -> TeacherFeatures:
    if images is None:
        raise UsageError(
            "Features of a teacher are kept for pictures in memory. Received: data.in_memory "
            "= false. Set it to true, or choose distillation.kind soft or hard"
        )
    path = pathlib.Path(settings.cache or folder / "teacher.npy")
    if not path.exists():
        teacher = from_pretrained(settings.teacher, attention="none")
        precompute_features(
            teacher,
            images.__getitem__,
            len(images),
            _preprocessing(teacher, settings),
            path,
            mirrored=settings.mirrored,
            progress=True,
        )
    features = TeacherFeatures.load(path)
    if len(features) != len(images):
        raise InputError(
            f"{os.fspath(path)!r} must have the teacher's features of each training picture. "
            f"Received: {len(features)} for {len(images)} pictures. Remove it, or name another."
        )
    return features


def _preprocessing(teacher: ScoreModel, settings: Distillation) -> Preprocessing:
    """Return the teacher's preprocessing, of the whole picture at the size asked for."""
    record = teacher.record.get("preprocessing")
    if not record:
        raise UsageError(
            "The teacher's record must say how pictures are prepared for it. "
            f"Received: {settings.teacher!r}, which does not. Choose a release"
        )
    found = Preprocessing.from_dict(record)
    size = (settings.image_size,) * 2 if settings.image_size else found.image_size
    return dataclasses.replace(found, image_size=size, crop_fraction=1.0)


def _follow(
    features: TeacherFeatures,
    patch_size: tuple[int, int],
    indices: np.ndarray,
    moves: Moves,
    grid: tuple[int, int],
) -> dict[str, np.ndarray]:
    """Return the targets of a batch; `moves` are in pixels, the features' shifts in patches."""
    shifts = moves.shifts // np.array(patch_size)
    tokens, valid = features.batch(indices, shifts, moves.mirrored, grid)
    return {"teacher": tokens, "valid": valid}


def _renormalise(ours: Preprocessing, theirs: Preprocessing, images):
    """Make the student's input the teacher's: another size, another mean and deviation."""
    pixels = images * ops.convert_to_tensor(np.float32(ours.std), images.dtype)
    pixels = pixels + ops.convert_to_tensor(np.float32(ours.mean), images.dtype)
    if tuple(images.shape[1:3]) != tuple(theirs.image_size):
        pixels = ops.image.resize(
            pixels, theirs.image_size, "bicubic", antialias=True, data_format="channels_last"
        )
    pixels = pixels - ops.convert_to_tensor(np.float32(theirs.mean), images.dtype)
    return pixels / ops.convert_to_tensor(np.float32(theirs.std), images.dtype)
