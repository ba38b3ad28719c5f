"""Batches for `fit` from pictures that are read as they are needed, through grain."""

import logging
from collections.abc import Generator, Iterator
from typing import Any

import keras
import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.in_memory import Batch, Normaliser, ahead, finish
from kerasvit.training.data.order import Order
from kerasvit.training.data.single import vary
from kerasvit.training.data.workers import end_with_parent, from_workers
from kerasvit.training.recipe.tables import Augmentation

# Threads that read and decode where there are no worker processes.
_THREADS = 16
# How many pictures in a row may be broken before the data are.
_TRIES = 20

_log = logging.getLogger(__name__)


class StreamedBatches:
    """Augmented training batches of pictures in a folder or zip.

    A picture that cannot be read is replaced by the next one that can, and noted in
    `folder.broken`.

    Args:
        folder: the pictures.
        order: which of them make a step.
        augmentation: how they vary.
        preprocessing: size, filter, mean and std.
        workers: processes that read and decode; 0 for threads. The batches are the same.
    """

    def __init__(
        self,
        folder: PictureFolder,
        order: Order,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        workers: int = 0,
    ) -> None:
        self.folder, self.order, self.workers = folder, order, workers
        self.augmentation, self.preprocessing = augmentation, preprocessing
        self.normalise = Normaliser(preprocessing)

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """Yield the batches from a step on, without end, as `MemoryBatches.from_step`."""
        return ahead(self._batches(step))

    def _batches(self, step: int) -> Iterator[Batch]:
        grain = _grain()
        records = _Records(self.folder, self.order, self.augmentation, self.preprocessing, step)
        batches = grain.MapDataset.source(records).batch(records.size)
        threads = grain.ReadOptions(num_threads=0 if self.workers else _THREADS)
        read = batches.to_iter_dataset(threads)
        if self.workers:
            _parse_flags()
            options = grain.MultiprocessingOptions(num_workers=self.workers)
            read = from_workers(read.mp_prefetch(options, end_with_parent))
        for number, parts in enumerate(read, step):
            self._note(parts["broken"])
            yield finish(
                self.normalise(parts["image"]),
                parts["label"],
                self.augmentation,
                len(self.folder.class_names),
                self.order.rng(number),
            )

    def _note(self, broken: np.ndarray) -> None:
        """Have this process note what a worker could not read."""
        known = {path for path, _ in self.folder.broken}
        for index in broken[broken >= 0]:
            if str(self.folder.paths[index]) not in known:
                self.folder.try_read(int(index))


class _Records:
    """The pictures of a run from a step on, each made when it is asked for."""

    def __init__(self, folder, order, augmentation, preprocessing, step) -> None:
        self.folder, self.order, self.step = folder, order, step
        self.augmentation, self.preprocessing = augmentation, preprocessing
        self.size = order.batch_size // order.shard[1]

    def __len__(self) -> int:
        # `fit` decides where the run ends; grain wants a number.
        return self.size * 10_000_000

    def __getitem__(self, position: int) -> dict[str, Any]:
        step, place = divmod(position, self.size)
        index = int(self.order.batch(self.step + step)[place])
        rng = np.random.default_rng(
            [self.order.seed, self.step + step, self.order.shard[0], 2, place]
        )
        following = ((index + number) % len(self.folder) for number in range(_TRIES))
        # Noted by the process of the run: see `StreamedBatches._note`.
        good, picture = self.folder.first_good(following, note=False)
        image = vary(picture, self.augmentation, self.preprocessing, rng)
        label = self.folder.labels[good]
        return {"image": image, "label": label, "broken": np.int64(-1 if good == index else index)}


class TestBatches(keras.utils.PyDataset):
    """Normalised batches for evaluation, made when they are needed.

    Args:
        pictures: uint8 array `(N, h, w, 3)` of the right size, or a `PictureFolder`; a broken
            picture of it is left out.
        labels: int array `(N,)`.
        preprocessing: what prepares them.
        batch_size: int.
        indices: which of them, in order; None for all.
        **kwargs: of `keras.utils.PyDataset`.
    """

    __test__ = False  # not a test of pytest's

    def __init__(
        self,
        pictures: np.ndarray | PictureFolder,
        labels: np.ndarray,
        preprocessing: Preprocessing,
        batch_size: int,
        indices: np.ndarray | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.pictures, self.labels, self.preprocessing = pictures, labels, preprocessing
        self.batch_size, self.normalise = batch_size, Normaliser(preprocessing)
        self.indices = np.arange(len(labels)) if indices is None else indices

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        indices = self.indices[number * self.batch_size : (number + 1) * self.batch_size]
        if isinstance(self.pictures, np.ndarray):
            return self.normalise(self.pictures[indices]), self.labels[indices]
        pictures = {index: self.pictures.try_read(index) for index in indices}
        good = {index: picture for index, picture in pictures.items() if picture is not None}
        if not good:
            raise InputError(
                f"None of {len(indices)} test pictures can be read. "
                f"Received: {str(self.pictures.paths[indices[0]])!r} and others. Check the data."
            )
        images = [self.preprocessing.evaluate(picture).image for picture in good.values()]
        return self.normalise(np.stack(images)), self.labels[list(good)]


def _grain():
    try:
        import grain
    except ImportError as error:
        raise UsageError(
            "Pictures that are not kept in memory are read through grain. Received: no package "
            'grain. Install it: pip install "kerasvit[train]", or set data.in_memory=true'
        ) from error
    return grain


def _parse_flags() -> None:
    """Let grain read its flags, which are those of absl: they have their defaults here."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
