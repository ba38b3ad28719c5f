"""A small convolutional teacher for CIFAR-10, and what the nano models learn from it.

    python examples/convolutional_teacher.py --data cifar10-jpeg.zip -o runs/teacher

Writes into the folder

- `teacher.keras`: a residual network of nine layers (after Page 2018,
  https://myrtle.ai/learn/how-to-train-your-resnet/, at half its width);
- `features.npy`: for every training picture and its mirror image 8x8 tokens, float16
  `(N, 2, 8, 8, W)`: the activations at 8x8, and those at 4x4 enlarged to it, each channel with mean
  0 and deviation 1;
- `logits.npy`: float32 `(N, K)`, the mean of both.

`cifar10_cait_nano` and `cifar10_vit_nano` take them as `distillation.cache` and
`distillation.logits`. That transformers on small pictures gain most from a convolutional network of
the same data: Li et al. 2022 (https://arxiv.org/abs/2207.10026).
"""

import argparse
import pathlib
import sys

import keras
import numpy as np

import kerasvit
from kerasvit.files import atomic_path
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.losses import LabelAccuracy, LabelCrossEntropy
from kerasvit.training.order import Order
from kerasvit.training.pipeline import Normaliser, Steps
from kerasvit.training.recipe_tables import Augmentation
from kerasvit.training.recipes import read_recipe
from kerasvit.training.run_data import RunData, scaled
from kerasvit.training.schedules import warmup_cosine

BATCH_SIZE = 128
WIDTHS = (32, 64, 128, 128)
# Image size and epochs: small pictures first, as they cost a quarter.
STAGES = ((16, 3), (24, 3), (32, 2))
LOGIT_SCALE = 0.125


def main() -> int:
    """Train the teacher and write what it says of the training pictures."""
    options = _options()
    kerasvit.reuse_memory()
    keras.utils.set_random_seed(options.seed)
    changes = [f"data.path={options.data}"] if options.data else []
    if options.limit:
        changes += [f"data.limit={options.limit}", f"data.test_limit={options.limit}"]
    recipe = read_recipe("cifar10_cait_nano", changes)
    preprocessing = Preprocessing(
        image_size=recipe.preprocessing.image_size,
        crop_fraction=recipe.preprocessing.crop_fraction,
        mean=recipe.preprocessing.mean,
        std=recipe.preprocessing.std,
    )
    data = RunData(recipe.data, preprocessing)
    teacher = residual_network(len(data.class_names), options.widths)
    train(teacher, data, preprocessing, options)
    options.output.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.output / "teacher.keras", overwrite=True) as temporary:
        teacher.save(temporary)
    write_targets(teacher, Normaliser(preprocessing), data.pictures.images, options.output)
    return 0


def residual_network(num_classes: int, widths: tuple[int, int, int, int]) -> keras.Model:
    """Return the network, for pictures of any size that four divides.

    Args:
        num_classes: K.
        widths: channels of the first convolution and of the three stages.

    Returns:
        A model from images `(B, h, w, 3)` to logits `(B, K)`.
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
    return keras.Model(images, keras.layers.Rescaling(LOGIT_SCALE, name="logits")(x))


def train(
    teacher: keras.Model, data: RunData, preprocessing: Preprocessing, options: argparse.Namespace
) -> None:
    """Fit the teacher: crops and flips, SGD with momentum, small pictures first."""
    augmentation = Augmentation(crop="padded", padding=4)
    order = Order(len(data), BATCH_SIZE, options.seed)
    total = sum(epochs for _, epochs in options.stages) * order.steps
    optimizer = keras.optimizers.SGD(
        warmup_cosine(0.2, total, total // 5),
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-3,
    )
    teacher.compile(optimizer, LabelCrossEntropy(0.1), metrics=[LabelAccuracy()])
    done, full = 0, preprocessing.image_size[0]
    for size, epochs in options.stages:
        staged = Preprocessing(**{**preprocessing.to_dict(), "image_size": (size, size)})
        batches = data.batches(order, scaled(augmentation, size / full), staged)
        steps = Steps(batches, done * order.steps, (done + epochs) * order.steps)
        teacher.fit(
            steps,
            steps_per_epoch=order.steps,
            initial_epoch=done,
            epochs=done + epochs,
            validation_data=data.tests(staged, 500, 2000),
            shuffle=False,
            verbose=1 if sys.stderr.isatty() else 2,
        )
        steps.close()
        done += epochs
    figures = teacher.evaluate(data.tests(preprocessing, 500), verbose=0, return_dict=True)
    print(f"{figures['accuracy']:.4f} of {len(data.test)} test pictures")


def write_targets(
    teacher: keras.Model, normalise: Normaliser, images: np.ndarray, folder: pathlib.Path
) -> None:
    """Write tokens and logits of all training pictures."""
    outputs = [teacher.get_layer(name).output for name in ("stage_2", "stage_3")]
    model = keras.Model(teacher.input, [*outputs, teacher.output])
    sample = _tokens(model, normalise(images[:: max(len(images) // 1000, 1)]))[0]
    mean, deviation = sample.mean((0, 1, 2)), sample.std((0, 1, 2)) + 1e-6
    shape = (len(images), 2, *sample.shape[1:])
    logits = np.zeros((len(images), teacher.output.shape[-1]), "float32")
    with atomic_path(folder / "features.npy", overwrite=True) as temporary:
        kept = np.lib.format.open_memmap(temporary, mode="w+", dtype="float16", shape=shape)
        for start in range(0, len(images), 1000):
            pixels = normalise(images[start : start + 1000])
            for mirrored in (0, 1):
                tokens, said = _tokens(model, pixels[:, :, ::-1] if mirrored else pixels)
                kept[start : start + 1000, mirrored] = (tokens - mean) / deviation
                logits[start : start + 1000] += said / 2
        kept.flush()
    with atomic_path(folder / "logits.npy", overwrite=True) as temporary:
        np.save(temporary, logits)


def _tokens(model: keras.Model, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens `(B, rows, columns, W)` and logits."""
    *levels, logits = model.predict(pixels, batch_size=125, verbose=0)
    if _data_format() == "channels_first":
        levels = [np.moveaxis(level, 1, -1) for level in levels]
    fine, coarse = levels
    return np.concatenate([fine, coarse.repeat(2, axis=1).repeat(2, axis=2)], axis=-1), logits


def _convolution(x, width: int):
    data_format = _data_format()
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, data_format=data_format)(x)
    axis = 1 if data_format == "channels_first" else -1
    x = keras.layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-5)(x)
    return keras.layers.Activation("relu")(x)


def _data_format() -> str:
    """Return the order of axes that the backend's convolutions are fastest in."""
    return "channels_first" if keras.backend.backend() == "torch" else "channels_last"


def _stages(text: str) -> tuple[tuple[int, int], ...]:
    pairs = (pair.split(":") for pair in text.split(","))
    return tuple((int(size), int(epochs)) for size, epochs in pairs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder per class or zip; without it as Keras downloads it")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--stages", type=_stages, default=STAGES, help="SIZE:EPOCHS,...")
    parser.add_argument(
        "--widths", type=lambda text: tuple(map(int, text.split(","))), default=WIDTHS
    )
    parser.add_argument("--limit", type=int, default=0, help="pictures at most, for a trial")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
