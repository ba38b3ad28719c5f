"""The pictures of a recipe: found, decoded once where they fit into memory, reduced for tests."""

import concurrent.futures
import dataclasses
import logging
import sys

import keras
import numpy as np
from tqdm import tqdm

from kerasvit.errors import DownloadError, InputError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.subsets import select
from kerasvit.training.recipe.tables import Data

# In the order of CIFAR-10's own labels (Krizhevsky 2009).
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_THREADS = 4

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Decoded pictures of one size.

    Args:
        images: uint8 array `(N, h, w, 3)`.
        labels: int32 array `(N,)`.
        class_names: what the labels stand for.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def reduced(self, limit: int) -> "Pictures":
        """Return about `limit` of them, evenly from the whole; all for 0."""
        indices = evenly(len(self), limit)
        return dataclasses.replace(self, images=self.images[indices], labels=self.labels[indices])

    def resized(self, preprocessing: Preprocessing) -> "Pictures":
        """Return them as the preprocessing resizes and crops them."""
        if self.images.shape[1:3] == preprocessing.image_size:
            return self
        images = [preprocessing.evaluate(image).image for image in self.images]
        return dataclasses.replace(self, images=np.stack(images))


def open_folders(data: Data) -> tuple[PictureFolder, PictureFolder]:
    """Return the training and the test pictures of a folder or zip, none of them decoded.

    Raises:
        InputError: as `PictureFolder.scan`; or if the recipe names no path.
    """
    if not data.path:
        raise InputError(
            "The recipe trains on a folder per class, or a zip of one. Received: no path. "
            "Name it: --data PATH"
        )
    train = PictureFolder.scan(data.path, data.train or None)
    test = PictureFolder.scan(data.path, data.test or None, train.class_names)
    train = select(train, evenly(len(train), data.limit))
    return train, select(test, evenly(len(test), data.test_limit))


def evenly(count: int, limit: int) -> np.ndarray:
    """Return about `limit` of `count` indices, evenly from the whole; all for a limit of 0."""
    if not limit or limit >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(int)


def load_cifar10(data: Data) -> tuple[Pictures, Pictures]:
    """Return CIFAR-10 as Keras downloads it."""
    try:
        parts = keras.datasets.cifar10.load_data()
    except Exception as error:
        raise DownloadError(
            "CIFAR-10 could not be had from where Keras gets it. Received: "
            f"{' '.join(str(error).split())[:300]}. Check the connection, or pass a folder: --data"
        ) from error
    found = []
    for (images, labels), limit in zip(parts, (data.limit, data.test_limit), strict=True):
        found.append(Pictures(images, labels[:, 0].astype(np.int32), CIFAR10).reduced(limit))
    return found[0], found[1]


def decode(folder: PictureFolder, preprocessing: Preprocessing, title: str = "") -> Pictures:
    """Decode all pictures and resize them as for evaluation; broken ones are left out.

    Args:
        folder: the pictures; its `broken` names those left out.
        preprocessing: gives their size.
        title: of the progress bar; none where it is empty.

    Raises:
        InputError: if all are broken.
    """

    def evaluated(index: int) -> np.ndarray | None:
        picture = folder.try_read(index)
        return None if picture is None else preprocessing.evaluate(picture).image

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        work = pool.map(evaluated, range(len(folder)))
        hidden = not title or not sys.stderr.isatty()
        images = list(tqdm(work, title, len(folder), leave=False, disable=hidden, unit="picture"))
    good = {index: image for index, image in enumerate(images) if image is not None}
    if not good:
        raise InputError(
            f"None of the pictures can be read. Received: {len(folder)} pictures, the first: "
            f"{folder.broken[0][1]}"
        )
    if folder.broken:
        _log.warning("%d of %d pictures are broken and left out", len(folder.broken), len(folder))
    return Pictures(np.stack([*good.values()]), folder.labels[[*good]], folder.class_names)
