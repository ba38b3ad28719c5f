"""The data of a run, in memory or read as they are needed, behind one face."""

import dataclasses
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data.datasets import (
    Pictures,
    decode,
    evenly,
    load_cifar10,
    open_folders,
)
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.in_memory import MemoryBatches
from kerasvit.training.data.order import Order
from kerasvit.training.data.streaming import StreamedBatches, TestBatches
from kerasvit.training.recipe.tables import Augmentation, Data


class RunData:
    """Training and test pictures of a recipe.

    Args:
        data: the recipe's table.
        preprocessing: of the recipe.

    Attributes:
        class_names: what the labels stand for.
        pictures: the decoded training pictures, or None if they stay in their files.

    Raises:
        InputError: if the data are not what they should be.
    """

    def __init__(self, data: Data, preprocessing: Preprocessing) -> None:
        self.data = data
        self.folders: tuple[PictureFolder, ...] = ()
        self.train: Pictures | PictureFolder
        self.test: Pictures | PictureFolder
        if data.dataset == "cifar10" and not data.path:
            train, test = load_cifar10(data)
            self.train, self.test = train.resized(preprocessing), test.resized(preprocessing)
        else:
            self.train, self.test = self._open(preprocessing)
        self.class_names = self.train.class_names
        self.pictures = self.train if isinstance(self.train, Pictures) else None

    def _open(
        self, preprocessing: Preprocessing
    ) -> tuple[Pictures | PictureFolder, Pictures | PictureFolder]:
        train, test = self.folders = open_folders(self.data)
        if not self.data.in_memory:
            return train, test
        return (
            decode(train, preprocessing, "training pictures"),
            decode(test, preprocessing, "test pictures"),
        )

    def decoded(self) -> Pictures:
        """Return the decoded training pictures.

        Raises:
            UsageError: if they stay in their files.
        """
        if self.pictures is None:
            raise UsageError(
                "What a teacher said once is kept for pictures in memory. Received: data.in_memory "
                "= false. Set it to true, or let the teacher run along: kind soft or hard, no cache"
            )
        return self.pictures

    def __len__(self) -> int:
        """Return the number of training pictures."""
        return len(self.train)

    @property
    def broken(self) -> int:
        """How many pictures could not be read so far."""
        return sum(len(folder.broken) for folder in self.folders)

    def batches(
        self,
        order: Order,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        follow: Any = None,
    ) -> MemoryBatches | StreamedBatches:
        """Return the training batches; see `MemoryBatches` for the arguments."""
        if isinstance(self.train, PictureFolder):
            return StreamedBatches(
                self.train, order, augmentation, preprocessing, self.data.workers
            )
        pictures = self.train.resized(preprocessing)
        return MemoryBatches(
            pictures.images,
            pictures.labels,
            order,
            augmentation,
            preprocessing,
            len(pictures.class_names),
            follow,
        )

    def tests(self, preprocessing: Preprocessing, batch_size: int, limit: int = 0) -> TestBatches:
        """Return test batches, of about `limit` pictures, evenly from the whole; all for 0."""
        indices = evenly(len(self.test), limit)
        if isinstance(self.test, PictureFolder):
            return TestBatches(self.test, self.test.labels, preprocessing, batch_size, indices)
        part = self.test.reduced(limit).resized(preprocessing)
        return TestBatches(part.images, part.labels, preprocessing, batch_size)

    def examples(self, count: int) -> list[np.ndarray]:
        """Return some test pictures, uint8 `(h, w, 3)`, evenly from the whole."""
        indices = evenly(len(self.test), count)
        if isinstance(self.test, PictureFolder):
            pictures = [self.test.try_read(int(index)) for index in indices]
            return [picture for picture in pictures if picture is not None]
        return list(self.test.images[indices])


def scaled(augmentation: Augmentation, share: float) -> Augmentation:
    """Return the augmentation of a stage, with movements in proportion to its pictures.

    Args:
        augmentation: of the recipe.
        share: the stage's image size over the recipe's.
    """
    return dataclasses.replace(augmentation, padding=round(augmentation.padding * share))
