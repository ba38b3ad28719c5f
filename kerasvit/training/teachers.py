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
        grid = student.token_layout(preprocessing.image_size).grid
        features = _features(settings, images, folder, grid)
        loss = FeatureDistillation(settings.distance)
        training = DistilledTraining(
            student,
            "features",
            weight=settings.weight,
            teacher_loss=loss,
            feature_width=features.width,
            block=settings.block,
            dtype=student.dtype_policy,
        )
        return training, functools.partial(_follow, features, student.patch_size)
    loss = SoftDistillation(settings.temperature) if settings.kind == "soft" else None
    if settings.cache:
        logits = _logits(settings.cache, images, student.num_classes)
        training = DistilledTraining(
            student,
            settings.kind,
            weight=settings.weight,
            teacher_loss=loss,
            dtype=student.dtype_policy,
        )
        return training, lambda indices, moves, grid: {"teacher": logits[indices]}
    teacher = from_pretrained(settings.teacher, attention="none")
    theirs = _preprocessing(teacher, settings)
    training = DistilledTraining(
        student,
        settings.kind,
        teacher,
        settings.weight,
        loss,
        functools.partial(_renormalise, preprocessing, theirs),
        dtype=student.dtype_policy,
    )
    return training, None


def _features(
    settings: Distillation,
    images: np.ndarray | None,
    folder: pathlib.Path,
    grid: tuple[int, int],
) -> TeacherFeatures:
    _require_images(images)
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
    tokens = _kept(path, len(images))
    if tokens.ndim == 3 and tokens.shape[1] == grid[0] * grid[1]:
        tokens = tokens.reshape(len(tokens), 1, *grid, -1)
    return TeacherFeatures(tokens)


def _logits(path: str, images: np.ndarray | None, num_classes: int) -> np.ndarray:
    """Return a teacher's logits of all training pictures, `(N, K)`."""
    _require_images(images)
    logits = _kept(path, len(images))
    if logits.shape != (len(images), num_classes):
        raise InputError(
            f"{path!r} must have a teacher's logits, (pictures, classes). Received: shape "
            f"{logits.shape} for {len(images)} pictures of {num_classes} classes. Name another."
        )
    return np.asarray(logits, np.float32)


def _kept(path: str | os.PathLike, count: int) -> np.ndarray:
    """Return what was computed once for each training picture."""
    try:
        kept = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{os.fspath(path)!r} holds nothing of a teacher: {error}. Remove it, or name another."
        ) from error
    if len(kept) != count:
        raise InputError(
            f"{os.fspath(path)!r} must have what the teacher says of each training picture. "
            f"Received: {len(kept)} for {count} pictures. Remove it, or name another."
        )
    return kept


def _require_images(images: np.ndarray | None) -> None:
    if images is None:
        raise UsageError(
            "What a teacher said once is kept for pictures in memory. Received: data.in_memory "
            "= false. Set it to true, or let the teacher run along: kind soft or hard, no cache"
        )


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
