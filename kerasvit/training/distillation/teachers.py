"""The teacher of a recipe: run along, or its tokens computed once and moved with the pictures."""

import dataclasses
import functools
import os
import pathlib
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from kerasvit.errors import InputError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.images.records import recorded_preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.numerics import softmax
from kerasvit.pretrained import from_pretrained
from kerasvit.training.data.augmentation import Moves, one_hot
from kerasvit.training.data.datasets import Pictures
from kerasvit.training.data.recipe_data import RunData
from kerasvit.training.distillation import convolutional_teacher as convolutional
from kerasvit.training.distillation.student import DistilledTraining
from kerasvit.training.losses import FeatureDistillation, SoftDistillation
from kerasvit.training.recipe.tables import CONVOLUTIONAL, Distillation, Recipe
from kerasvit.training.teacher_features import TeacherFeatures, precompute_features
from kerasvit.training.teacher_logits import precompute_logits


class Follow(Protocol):
    """What a teacher said once of every picture, as the targets of a batch of them."""

    def __call__(
        self, indices: np.ndarray, moves: Moves, grid: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Return the targets of the pictures of these numbers, moved so, on the student's grid."""


@dataclasses.dataclass(frozen=True, eq=False)
class KeptLogits:
    """Logits, which are the same however a picture moves.

    Args:
        logits: float32 array `(N, K)`.
    """

    logits: np.ndarray

    def __call__(
        self, indices: np.ndarray, moves: Moves, grid: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Return the logits of these pictures."""
        return {"teacher": self.logits[indices]}


@dataclasses.dataclass(frozen=True, eq=False)
class KeptTokens:
    """Tokens, which move with their picture.

    Args:
        features: of all pictures.
        patch_size: of the student, `(height, width)` in pixels.
        labels: float32 array `(N, K)` in which the teacher has its say; None for plain labels.
    """

    features: TeacherFeatures
    patch_size: tuple[int, int]
    labels: np.ndarray | None

    def __call__(
        self, indices: np.ndarray, moves: Moves, grid: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Return the tokens; moves are in pixels, the features' shifts in patches."""
        shifts = moves.shifts / np.array(self.patch_size)
        tokens, valid = self.features.batch(indices, shifts, moves.mirrored, grid)
        targets = {"teacher": tokens, "valid": valid}
        return targets if self.labels is None else targets | {"labels": self.labels[indices]}


def with_teacher(
    student: ScoreModel,
    recipe: Recipe,
    preprocessing: Preprocessing,
    data: RunData,
    folder: pathlib.Path,
) -> tuple[keras.Model, Follow | None]:
    """Return the model that trains in the student's place.

    Args:
        student: the model that is kept.
        recipe: its tables `distillation` and `teacher` say how.
        preprocessing: the student's.
        data: of the recipe; what is computed once needs its pictures in memory.
        folder: of the run: where a teacher's features are kept, unless the recipe names a file.

    Returns:
        The student itself without distillation, else a `DistilledTraining`; and for what was
        computed once the function from numbers of pictures, their moves and the student's grid to
        targets, and to labels where the teacher has its say in them.

    Raises:
        InputError: if what is kept belongs to other pictures.
        OutputError: if what is computed once cannot be kept.
        UsageError: if the teacher's record does not say how pictures are prepared for it.
    """
    settings = recipe.distillation
    if settings.kind == "none":
        return student, None
    if settings.teacher == CONVOLUTIONAL and not settings.cache:
        features, logits = convolutional.convolutional_targets(recipe, data, preprocessing, folder)
        cache = features if settings.kind == "features" else logits
        settings = dataclasses.replace(settings, cache=os.fspath(cache), logits=os.fspath(logits))
    follow: Follow | None = None
    options: dict[str, Any] = {}
    if settings.kind == "features":
        pictures = data.decoded()
        follow, options = _following(student, settings, preprocessing, pictures, folder)
    else:
        if settings.kind == "soft":
            options["teacher_loss"] = SoftDistillation(settings.temperature)
        if settings.cache:
            pictures = data.decoded()
            follow = KeptLogits(_logits(settings.cache, pictures, student.num_classes))
        else:
            options |= _alongside(settings, preprocessing)
    training = DistilledTraining(
        student, settings.kind, weight=settings.weight, dtype=student.dtype_policy, **options
    )
    return training, follow


def _following(
    student: ScoreModel,
    settings: Distillation,
    preprocessing: Preprocessing,
    pictures: Pictures,
    folder: pathlib.Path,
) -> tuple[Follow, dict[str, Any]]:
    """Return what follows a picture's moves, and the options of the model that learns from it."""
    grid = student.token_layout(preprocessing.image_size).grid
    features = _features(settings, pictures, folder, grid)
    labels = None
    if settings.logits_share:
        path = settings.logits or _say_logits(settings, pictures, folder)
        logits = _logits(path, pictures, student.num_classes)
        labels = _shared_labels(pictures.labels, logits, settings)
    options = {
        "teacher_loss": FeatureDistillation(settings.distance),
        "feature_width": features.width,
        "block": settings.block,
    }
    return KeptTokens(features, student.patch_size, labels), options


def _shared_labels(labels: np.ndarray, logits: np.ndarray, settings: Distillation) -> np.ndarray:
    """Return means of the labels and the teacher's probabilities, float32 `(N, K)`."""
    said = softmax(logits / settings.temperature, axis=1)
    known = one_hot(labels, logits.shape[1])
    return (known + settings.logits_share * (said - known)).astype(np.float32)


def _alongside(settings: Distillation, preprocessing: Preprocessing) -> dict[str, Any]:
    """Return the options of a model that runs its teacher in every step."""
    teacher = from_pretrained(settings.teacher, attention="none")
    teachers = _preprocessing(teacher, settings)
    return {
        "teacher": teacher,
        "teacher_inputs": functools.partial(_renormalise, preprocessing, teachers),
    }


def _features(
    settings: Distillation,
    pictures: Pictures,
    folder: pathlib.Path,
    grid: tuple[int, int],
) -> TeacherFeatures:
    path = pathlib.Path(settings.cache or folder / convolutional.FEATURES)
    if not os.path.exists(path):
        teacher = from_pretrained(settings.teacher, attention="none")
        precompute_features(
            teacher,
            pictures.images.__getitem__,
            len(pictures),
            _preprocessing(teacher, settings),
            path,
            mirrored=settings.mirrored,
            progress=True,
        )
    tokens = _kept(path, len(pictures))
    if tokens.ndim == 3 and tokens.shape[1] == grid[0] * grid[1]:
        tokens = tokens.reshape(len(tokens), 1, *grid, -1)
    return TeacherFeatures(tokens)


def _say_logits(settings: Distillation, pictures: Pictures, folder: pathlib.Path) -> str:
    """Return the file of the teacher's logits beside the run, computed once."""
    path = folder / convolutional.LOGITS
    if not path.exists():
        teacher = from_pretrained(settings.teacher, attention="none")
        preprocessing = _preprocessing(teacher, settings)
        read = pictures.images.__getitem__
        precompute_logits(teacher, read, len(pictures), preprocessing, path, progress=True)
    return os.fspath(path)


def _logits(path: str, pictures: Pictures, num_classes: int) -> np.ndarray:
    """Return a teacher's logits of all training pictures, `(N, K)`."""
    logits = _kept(path, len(pictures))
    if logits.shape != (len(pictures), num_classes):
        raise InputError(
            f"{path!r} must have a teacher's logits, (pictures, classes). Received: shape "
            f"{logits.shape} for {len(pictures)} pictures of {num_classes} classes. Name another."
        )
    return np.asarray(logits, np.float32)


def _kept(path: str | os.PathLike, count: int) -> np.ndarray:
    """Return what was computed once for each training picture."""
    try:
        targets = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{os.fspath(path)!r} holds nothing of a teacher: {error}. Remove it, or name another."
        ) from error
    if len(targets) != count:
        raise InputError(
            f"{os.fspath(path)!r} must have what the teacher says of each training picture. "
            f"Received: {len(targets)} for {count} pictures. Remove it, or name another."
        )
    return targets


def _preprocessing(teacher: ScoreModel, settings: Distillation) -> Preprocessing:
    """Return the teacher's preprocessing, of the whole picture at the size asked for."""
    recorded = recorded_preprocessing(teacher.record, settings.teacher)
    size = (settings.image_size,) * 2 if settings.image_size else recorded.image_size
    return dataclasses.replace(recorded, image_size=size, crop_fraction=1.0)


def _renormalise(ours: Preprocessing, theirs: Preprocessing, images):
    """Make the student's input the teacher's: another size, another mean and deviation."""
    pixels = images * ops.convert_to_tensor(np.asarray(ours.std, np.float32), images.dtype)
    pixels = pixels + ops.convert_to_tensor(np.asarray(ours.mean, np.float32), images.dtype)
    if tuple(images.shape[1:3]) != tuple(theirs.image_size):
        pixels = ops.image.resize(
            pixels, theirs.image_size, "bicubic", antialias=True, data_format="channels_last"
        )
    pixels = pixels - ops.convert_to_tensor(np.asarray(theirs.mean, np.float32), images.dtype)
    return pixels / ops.convert_to_tensor(np.asarray(theirs.std, np.float32), images.dtype)
