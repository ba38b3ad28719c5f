"""Batches for `fit` from pictures in memory, the same for the same seed and step."""

import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import keras
import numpy as np

from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data import augmentation as augmenting
from kerasvit.training.data.augmentation import Moves
from kerasvit.training.data.order import Order
from kerasvit.training.data.single import recolour, vary
from kerasvit.training.recipe.tables import Augmentation

# Batches that wait for the training step.
_AHEAD = 3

Batch = tuple[np.ndarray, Any]


class BatchSource(Protocol):
    """What `fit` takes its batches from: `MemoryBatches` and `StreamedBatches`."""

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """Return the batches from a step of the run on, without end; closing it ends its thread."""


class MemoryBatches:
    """Augmented training batches of pictures that all have one size and lie in memory.

    Args:
        images: uint8 array `(N, h, w, 3)`.
        labels: int array `(N,)`.
        order: which pictures make a step.
        augmentation: how they vary.
        preprocessing: whose mean and std normalise them.
        num_classes: K.
        follow: function from `(indices, moves)` to what a teacher says of these pictures, a dict
            that is joined with the labels; None for labels alone.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        order: Order,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        num_classes: int,
        follow: Callable[[np.ndarray, Moves], dict[str, np.ndarray]] | None = None,
    ) -> None:
        self.labels, self.order, self.augmentation = labels, order, augmentation
        self.num_classes, self.follow = num_classes, follow
        self.normalise, self.preprocessing = Normaliser(preprocessing), preprocessing
        self.margin = augmentation.padding if augmentation.crop == "padded" else 0
        self.images = images
        if self.margin:
            self.images = augmenting.pad(images, self.margin, augmentation.padding_mode)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step of the run, counted from 0.

        Returns:
            float32 images `(B, h, w, 3)`, and int32 labels `(B,)`, or probabilities `(B, K)` where
            pictures are mixed, or a dict with "labels" and what `follow` returns.
        """
        indices, rng = self.order.batch(step), self.order.rng(step)
        pictures, moves = self._pictures(indices, rng)
        images, labels = finish(
            self.normalise(pictures), self.labels[indices], self.augmentation, self.num_classes, rng
        )
        if self.follow is None:
            return images, labels
        return images, {"labels": labels, **self.follow(indices, moves)}

    def _pictures(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Moves]:
        options = (self.augmentation, self.preprocessing, rng)
        if self.augmentation.crop in ("resized", "simple"):
            pictures = np.stack([vary(self.images[index], *options) for index in indices])
            still = np.zeros((len(indices), 2), int), np.zeros(len(indices), bool)
            return pictures, Moves(*still)
        pictures, moves = augmenting.padded_windows(
            self.images, indices, self.margin, rng, self.augmentation.flip
        )
        if self.augmentation.colour != "none" or self.augmentation.jitter:
            pictures = np.stack([recolour(picture, *options) for picture in pictures])
        return pictures, moves

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """Yield the batches from a step on, without end, prepared ahead by a thread."""
        return ahead(map(self.batch, itertools.count(step)))


class Steps(keras.utils.PyDataset):
    """The batches of some steps of a run, for `fit`.

    Keras looks at first batches before it trains, and TensorFlow reads ahead: a step has its own
    batch however often and by whomever it is asked for. In order, they are prepared ahead.

    Args:
        batches: those of the whole run.
        first: number of the first step of the run, counted from 0.
        last: number of the step after the last.
    """

    def __init__(self, batches: BatchSource, first: int, last: int) -> None:
        super().__init__()
        self.batches, self.first, self.last = batches, first, last
        self.ready: Generator[Batch, None, None] | None = None
        self.upcoming = -1
        self.lock = threading.RLock()

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Batch:
        step = self.first + index
        with self.lock:
            if step != self.upcoming or self.ready is None:
                self.close()
                self.ready = self.batches.from_step(step)
            self.upcoming = step + 1
            return next(self.ready)

    def close(self) -> None:
        """End the thread that prepares batches."""
        with self.lock:
            if self.ready is not None:
                self.ready.close()
                self.ready, self.upcoming = None, -1


class Normaliser:
    """Scales uint8 pixels as a release's preprocessing does, by table."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        values = np.arange(256, dtype=np.float32)[:, None] / np.float32(255.0)
        values = values - np.asarray(preprocessing.mean, np.float32)
        self.table = values / np.asarray(preprocessing.std, np.float32)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return float32 of the same shape `(..., 3)`."""
        result = np.empty(images.shape, np.float32)
        for channel in range(3):
            np.take(self.table[:, channel], images[..., channel], out=result[..., channel])
        return result


def finish(
    images: np.ndarray,
    labels: np.ndarray,
    augmentation: Augmentation,
    num_classes: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Erase and mix a normalised batch, as a recipe says.

    Returns:
        images, and labels: as they were, or probabilities `(B, K)` where the recipe mixes.
    """
    if augmentation.erasing:
        images = augmenting.erase(images, rng, augmentation.erasing)
    if not (augmentation.mixup or augmentation.cutmix):
        return images, labels
    return augmenting.mix(
        images,
        augmenting.one_hot(labels, num_classes),
        rng,
        augmentation.mixup,
        augmentation.cutmix,
        augmentation.mixing,
        augmentation.switch,
    )


def ahead(batches: Iterator[Batch], depth: int = _AHEAD) -> Generator[Batch, None, None]:
    """Yield what an iterator yields, computed ahead by a thread.

    The thread ends when the result is closed or forgotten; what it raises is raised here.
    """
    waiting: queue.Queue = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for batch in batches:
                put((batch, None))
                if stopped.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    threading.Thread(target=work, daemon=True, name="kerasvit-batches").start()
    try:
        while True:
            batch, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield batch
    finally:
        stopped.set()
