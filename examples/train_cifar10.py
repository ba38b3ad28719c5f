"""Train the small CaiT that kerasvit ships, on CIFAR-10, with plain Keras `fit`.

    KERAS_BACKEND=jax python examples/train_cifar10.py --data cifar10-jpeg.zip -o nano.keras

`--data` is a zip of `train/CLASS/*.jpg` and `test/CLASS/*.jpg`; without it,
`keras.datasets.cifar10` is used. The images grow while it trains (16, 24, then 32 pixels): the
first epochs cost a quarter, and the position embedding is resampled as for any other size. A
checkpoint and a line of the log are written after every epoch.
"""

import argparse
import io
import json
import math
import pathlib
import time
import zipfile

import keras
import numpy as np
from PIL import Image

import kerasvit
from kerasvit.layers.resampling import resampling_matrix

# In the order of CIFAR-10's own labels.
CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]
CLASSES += ["dog", "frog", "horse", "ship", "truck"]
PREPROCESSING = {
    "image_size": [32, 32],
    "crop_fraction": 1.0,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": [0.4914, 0.4822, 0.4465],
    "std": [0.2470, 0.2435, 0.2616],
}


def read_split(archive: zipfile.ZipFile, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images `(N, 32, 32, 3)` and labels `(N,)` of one split."""
    images, labels = [], []
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if parts[-1].endswith(".jpg") and parts[-3] == split:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                images.append(np.asarray(image.convert("RGB")))
            labels.append(CLASSES.index(parts[-2]))
    return np.stack(images), np.array(labels)


def load_data(path: str | None):
    """Return `(train_images, train_labels), (test_images, test_labels)`."""
    if path is None:
        (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
        return (x, y[:, 0]), (x_test, y_test[:, 0])
    with zipfile.ZipFile(path) as archive:
        return read_split(archive, "train"), read_split(archive, "test")


def normalise(images: np.ndarray) -> np.ndarray:
    """Scale uint8 pixels as the release's preprocessing does."""
    mean, std = (np.float32(PREPROCESSING[key]) for key in ("mean", "std"))
    return (images.astype("float32") / 255 - mean) / std


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resample square uint8 images with an antialiased bicubic kernel."""
    matrix = resampling_matrix(images.shape[1], size, "bicubic_antialias")
    parts = np.array_split(images, math.ceil(len(images) / 1000))
    rows = [np.einsum("yh,bhwc,xw->byxc", matrix, part, matrix, optimize=True) for part in parts]
    return np.clip(np.rint(np.concatenate(rows)), 0, 255).astype("uint8")


class AugmentedBatches(keras.utils.PyDataset):
    """Shuffled batches, each picture shifted by up to an eighth and mirrored half of the time."""

    def __init__(self, images, labels, batch_size, seed, **kwargs):
        super().__init__(**kwargs)
        self.size = images.shape[1]
        self.margin = self.size // 8
        margins = (self.margin, self.margin)
        self.images = np.pad(images, ((0, 0), margins, margins, (0, 0)), mode="reflect")
        self.labels, self.batch_size = labels, batch_size
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        shifts = self.random.integers(0, 2 * self.margin + 1, size=(len(chosen), 2))
        flips = self.random.random(len(chosen)) < 0.5
        batch = np.empty((len(chosen), self.size, self.size, 3), "uint8")
        for place, (image, (top, left), flip) in enumerate(zip(chosen, shifts, flips, strict=True)):
            crop = self.images[image, top : top + self.size, left : left + self.size]
            batch[place] = crop[:, ::-1] if flip else crop
        return normalise(batch), self.labels[chosen]

    def on_epoch_end(self):
        """Draw the order of the next epoch."""
        self.order = self.random.permutation(len(self.labels))


def make_model() -> kerasvit.CaiT:
    """Return the untrained model, about a million weights."""
    return kerasvit.create_model("cait_nano_patch4_32", num_classes=len(CLASSES), attention="none")


def make_optimizer(steps: int, peak: float) -> keras.optimizers.Optimizer:
    """Muon on the matrices of the blocks, AdamW on the rest; warm-up, then cosine decay."""
    warmup = steps // 20
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup
    )
    return keras.optimizers.Muon(
        learning_rate=schedule,
        weight_decay=0.1,
        adam_weight_decay=0.05,
        exclude_layers=["head", "patch_embedding", "mixing"],
    )


class Log(keras.callbacks.Callback):
    """One JSON line an epoch, flushed, so that a run can be watched and plotted."""

    def __init__(self, path: pathlib.Path, size: int):
        super().__init__()
        self.path, self.size, self.start = path, size, time.time()

    def on_epoch_end(self, epoch, logs=None):
        """Append the figures of the epoch."""
        figures = {key: round(float(value), 4) for key, value in (logs or {}).items()}
        seconds = int(time.time() - self.start)
        with self.path.open("a") as file:
            line = {"epoch": epoch + 1, "size": self.size, "seconds_of_stage": seconds, **figures}
            print(json.dumps(line), file=file)


def parse_stages(text: str) -> list[tuple[int, int]]:
    """Parse "16:8,32:6" to [(16, 8), (32, 6)]: epochs at each image size."""
    return [tuple(map(int, stage.split(":"))) for stage in text.split(",")]


def train(model, data, stages, options) -> None:
    """Fit the model at growing image sizes, under one learning-rate schedule."""
    (x, y), (x_test, y_test) = data
    epochs = sum(count for _, count in stages)
    model.compile(
        make_optimizer(len(y) // options.batch_size * epochs, options.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() != "torch",
    )
    done = 0
    for size, count in stages:
        model.fit(
            AugmentedBatches(resize(x, size), y, options.batch_size, options.seed + done),
            initial_epoch=done,
            epochs=done + count,
            validation_data=(normalise(resize(x_test[::10], size)), y_test[::10]),
            validation_batch_size=500,
            callbacks=[
                keras.callbacks.ModelCheckpoint(str(options.output.with_suffix(".last.keras"))),
                Log(options.output.with_suffix(".log.jsonl"), size),
            ],
            verbose=2,
        )
        done += count


def main() -> None:
    """Train, evaluate on the whole test split, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="zip of train/CLASS/*.jpg and test/CLASS/*.jpg")
    parser.add_argument("--stages", type=parse_stages, default="16:7,24:4,32:2")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.004)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    data = load_data(options.data)
    model = make_model()
    train(model, data, options.stages, options)
    x_test, y_test = data[1]
    _, accuracy = model.evaluate(normalise(x_test), y_test, batch_size=500, verbose=0)
    print(f"test accuracy: {accuracy:.4f} on {len(y_test)} images")
    save_release(model, accuracy, options.output)


def save_release(model: kerasvit.CaiT, accuracy: float, path: pathlib.Path) -> None:
    """Save the bare model, its preprocessing, class names and accuracy in its record."""
    config = model.get_config()
    config.update(
        name="cait_nano_patch4_32",
        attention="full",
        record={
            "release": "cait_nano_patch4_32.cifar10",
            "source": "trained by examples/train_cifar10.py on CIFAR-10",
            "licence": "Apache-2.0",
            "preprocessing": PREPROCESSING,
            "class_names": CLASSES,
            "test_accuracy": round(float(accuracy), 4),
        },
    )
    release = kerasvit.CaiT.from_config(config)
    release.set_weights(model.get_weights())
    release.save(path)


if __name__ == "__main__":
    main()
