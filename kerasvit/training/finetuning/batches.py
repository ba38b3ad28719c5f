"""Batches of a folder of pictures for fine-tuning: cropped and mirrored at random.

They need no data loader beside Keras; `kerasvit train` has one that scales further.
"""

import itertools

import keras
import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.in_memory import Normaliser
from kerasvit.training.data.single import mirrored, resized_crop


class TrainingBatches(keras.utils.PyDataset):
    """Shuffled batches of random crops with their labels; what fills no batch is left out.

    Every random choice follows from the seed, the epoch and the picture's place in it, whatever
    thread makes the batch. In the place of a picture that cannot be read stands the next one that
    can; the folder's `broken` names it.

    Args:
        folder: the pictures, at least one that can be read.
        preprocessing: the size, interpolation, mean and std of the model's input.
        batch_size: int. All pictures, if there are fewer.
        seed: int, at least 0.
        smallest_crop: float in (0, 1]. Crops hold from this share of the picture's area to all of
            it, with an aspect ratio of 3:4 to 4:3; 1 takes the evaluation's transform instead.
        flip: bool. Whether half of the pictures are mirrored.
        **kwargs: of `keras.utils.PyDataset`, such as `workers`.

    Raises:
        UsageError: if `batch_size` or `smallest_crop` is out of its range.
    """

    def __init__(
        self,
        folder: PictureFolder,
        preprocessing: Preprocessing,
        batch_size: int,
        seed: int = 0,
        smallest_crop: float = 0.5,
        flip: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if batch_size < 1 or not 0 < smallest_crop <= 1:
            raise UsageError(
                "batch_size is at least 1 and smallest_crop lies in (0, 1]. "
                f"Received: batch_size={batch_size!r}, smallest_crop={smallest_crop!r}."
            )
        self.folder, self.preprocessing, self.seed = folder, preprocessing, seed
        self.batch_size = min(batch_size, len(folder))
        self.smallest_crop, self.flip = smallest_crop, flip
        self.normalise = Normaliser(preprocessing)
        self.epoch = -1
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self.epoch += 1
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.folder))

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        places = range(number * self.batch_size, (number + 1) * self.batch_size)
        pictures = [self._picture(place) for place in places]
        pixels = self.normalise(np.stack([image for image, _ in pictures]))
        return pixels, np.array([label for _, label in pictures], np.int32)

    def _picture(self, place: int) -> tuple[np.ndarray, int]:
        random = np.random.default_rng((self.seed, self.epoch, place))
        following = itertools.chain(self.order[place:], self.order[:place])
        index, image = self.folder.first_good(following)
        return self._view(image, random), self.folder.labels[index]

    def _view(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if self.smallest_crop < 1:
            image = resized_crop(image, self.preprocessing, random, (self.smallest_crop, 1.0))
        else:
            image = self.preprocessing.evaluate(image).image
        return mirrored(image, random) if self.flip else image
