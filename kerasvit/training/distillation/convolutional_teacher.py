"""A small convolutional network, trained first, that a transformer then learns from.

Transformers gain most where pictures are small and few from a convolutional network of the same
pictures: Li et al. 2022 (https://arxiv.org/abs/2207.10026).
"""

import dataclasses
import json
import pathlib
from typing import Any

import keras
import numpy as np

from kerasvit.files import atomic_path
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models.writing import write_keras
from kerasvit.training.compilation import jit_compile
from kerasvit.training.data.in_memory import Normaliser
from kerasvit.training.data.order import Order
from kerasvit.training.data.recipe_data import RunData, scaled
from kerasvit.training.fitting import fit_steps
from kerasvit.training.losses import LabelAccuracy, LabelCrossEntropy
from kerasvit.training.mapped_files import create_array, write_array
from kerasvit.training.recipe.reading import RECIPE, as_written
from kerasvit.training.recipe.tables import Augmentation, Recipe, Teacher
from kerasvit.training.schedules import warmup_cosine

MODEL, FEATURES, LOGITS = "teacher.keras", "teacher.npy", "teacher_logits.npy"
# What the others were made by; empty while they are made.
MADE_BY = "teacher.json"
# The logits of a maximum over places are too large to begin with.
_LOGIT_SCALE = 0.125
_AT_A_TIME = 1000
# Tables of a recipe that another teacher would follow from.
_DECISIVE = ("data", "preprocessing", "teacher")


def convolutional_targets(
    recipe: Recipe, data: RunData, preprocessing: Preprocessing, folder: pathlib.Path
) -> tuple[pathlib.Path, pathlib.Path]:
    """Return files of what the teacher says of all training pictures, made where there are none.

    Those of an earlier run in the folder are used again if its recipe had the same data,
    preprocessing and teacher.

    The folder gets `teacher.keras`; `teacher.npy`, tokens of every picture and of its mirror image,
    float16 `(N, 2, rows, columns, W)`, see `write_targets`; and `teacher_logits.npy`, float32
    `(N, K)`.

    Args:
        recipe: its tables `teacher`, `schedule` and `run` say how.
        data: the pictures, in memory.
        preprocessing: the student's; the teacher shares it.
        folder: of the run.

    Raises:
        OutputError: if a file cannot be written.
        UsageError: if the pictures are not in memory.
    """
    features, logits = folder / FEATURES, folder / LOGITS
    images = data.decoded().images
    if not (features.exists() and logits.exists() and _suits(folder, recipe)):
        _write_down(folder, {})
        teacher = residual_network(len(data.class_names), recipe.teacher.widths)
        train_teacher(teacher, recipe, data, preprocessing)
        with atomic_path(folder / MODEL, overwrite=True) as temporary:
            write_keras(teacher, temporary)
        write_targets(teacher, Normaliser(preprocessing), images, features, logits)
        _write_down(folder, {table: as_written(recipe)[table] for table in _DECISIVE})
    # What comes after does not depend on whether the files were there.
    keras.utils.set_random_seed(recipe.run.seed)
    return features, logits


def _write_down(folder: pathlib.Path, tables: dict[str, Any]) -> None:
    with atomic_path(folder / MADE_BY, overwrite=True) as temporary:
        temporary.write_text(json.dumps(tables, indent=2) + "\n")


def _suits(folder: pathlib.Path, recipe: Recipe) -> bool:
    """Tell whether an earlier run's recipe has the same teacher."""
    # Runs of earlier versions wrote down their recipe alone.
    path = folder / (MADE_BY if (folder / MADE_BY).exists() else RECIPE)
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    now = as_written(recipe)
    return all(before.get(table) == now[table] for table in _DECISIVE)


def residual_network(num_classes: int, widths: tuple[int, int, int, int]) -> keras.Model:
    """Return the network: a stem, and three stages that each halve the picture.

    Args:
        num_classes: K.
        widths: channels of the stem and of the stages.

    Returns:
        A model from images `(B, h, w, 3)`, both sides multiples of eight, to logits `(B, K)`.

    Source: Page 2018 (https://myrtle.ai/learn/how-to-train-your-resnet/), nine layers, here with a
    residual branch in each stage.
    """
    images = keras.Input((None, None, 3))
    stem, *stages = widths
    x = images
    if _data_format() == "channels_first":
        x = keras.layers.Permute((3, 1, 2))(x)
    x = _convolution(x, stem)
    for number, width in enumerate(stages, start=1):
        x = _convolution(x, width)
        x = keras.layers.MaxPooling2D(data_format=_data_format())(x)
        inner = _convolution(_convolution(x, width), width)
        x = keras.layers.Add(name=f"stage_{number}")([x, inner])
    x = keras.layers.GlobalMaxPooling2D(data_format=_data_format())(x)
    x = keras.layers.Dense(num_classes, use_bias=False)(x)
    return keras.Model(images, keras.layers.Rescaling(_LOGIT_SCALE, name="logits")(x))


def train_teacher(
    teacher: keras.Model, recipe: Recipe, data: RunData, preprocessing: Preprocessing
) -> None:
    """Fit the teacher with crops and flips, by SGD with momentum, as the recipe's table says.

    Args:
        teacher: as `residual_network` makes it.
        recipe: see `convolutional_targets`.
        data: the pictures.
        preprocessing: of the pictures at their full size.
    """
    settings, size = recipe.teacher, preprocessing.image_size[0]
    order = Order(len(data), recipe.schedule.batch_size, recipe.run.seed)
    stages = settings.stages or ((size, settings.epochs),)
    total = sum(epochs for _, epochs in stages) * order.steps
    teacher.compile(
        _optimizer(settings, total),
        LabelCrossEntropy(settings.label_smoothing),
        metrics=[LabelAccuracy()],
        jit_compile=jit_compile(recipe.run.jit_compile),
    )
    augmentation = Augmentation(crop="padded", padding=size // 8)
    done = 0
    for side, epochs in stages:
        staged = dataclasses.replace(preprocessing, image_size=(side, side))
        batches = data.batches(order, scaled(augmentation, side / size), staged)
        tests = data.tests(staged, recipe.run.test_batch_size, recipe.data.validation_limit)
        first, done = done, done + epochs * order.steps
        fit_steps(teacher, batches, first, done, order.steps, tests)


def write_targets(
    teacher: keras.Model,
    normalise: Normaliser,
    images: np.ndarray,
    features: pathlib.Path,
    logits: pathlib.Path,
) -> None:
    """Write tokens and logits of all pictures.

    The tokens are the activations after the second stage, and beside them those after the third,
    enlarged to the same grid; every channel has mean 0 and deviation 1 over a sample of pictures.
    The logits are means of a picture's and its mirror image's.

    Args:
        teacher: as `residual_network` makes it, trained.
        normalise: from pixels to the teacher's input.
        images: uint8 `(N, h, w, 3)`.
        features: file for the tokens.
        logits: file for the logits.
    """
    stages = [teacher.get_layer(name).output for name in ("stage_2", "stage_3")]
    model = keras.Model(teacher.input, [*stages, teacher.output])
    sample = _tokens(model, normalise(images[:: max(len(images) // _AT_A_TIME, 1)]))[0]
    mean, deviation = sample.mean((0, 1, 2)), sample.std((0, 1, 2)) + 1e-6
    said = np.zeros((len(images), teacher.output.shape[-1]), np.float32)
    shape = (len(images), 2, *sample.shape[1:])
    with atomic_path(features, overwrite=True) as temporary:
        tokens_file = create_array(temporary, np.float16, shape)
        for start in range(0, len(images), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            pixels = normalise(images[part])
            for mirrored, view in enumerate((pixels, pixels[:, :, ::-1])):
                tokens, outputs = _tokens(model, view)
                tokens_file[part, mirrored] = (tokens - mean) / deviation
                said[part] += outputs / 2
        tokens_file.flush()
    with atomic_path(logits, overwrite=True) as temporary:
        write_array(temporary, said)


def _optimizer(settings: Teacher, steps: int) -> keras.optimizers.Optimizer:
    rate = warmup_cosine(settings.learning_rate, steps, steps // 5)
    return keras.optimizers.SGD(
        rate, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay
    )


def _tokens(model: keras.Model, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens `(B, rows, columns, W)` and logits `(B, K)`."""
    fine, coarse, logits = model.predict(pixels, batch_size=_AT_A_TIME // 8, verbose=0)
    if _data_format() == "channels_first":
        fine, coarse = (np.moveaxis(level, 1, -1) for level in (fine, coarse))
    return np.concatenate([fine, coarse.repeat(2, axis=1).repeat(2, axis=2)], axis=-1), logits


def _convolution(x, width: int):
    data_format = _data_format()
    axis = 1 if data_format == "channels_first" else -1
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, data_format=data_format)(x)
    # Statistics of a short training: the last few batches count.
    x = keras.layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-5)(x)
    return keras.layers.Activation("relu")(x)


def _data_format() -> str:
    """Return the order of axes that the backend's convolutions are fastest in on a CPU."""
    return "channels_first" if keras.backend.backend() == "torch" else "channels_last"
