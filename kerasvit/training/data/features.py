"""What a model makes of the pictures of a folder, in batches, the next ones read meanwhile."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from kerasvit.ahead import load_ahead
from kerasvit.errors import InputError, UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.images.records import recorded_preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.training.data.folders import PictureFolder


def preprocessing_of(model: ScoreModel, image_size: tuple[int, int] | None = None) -> Preprocessing:
    """Return how pictures are prepared for a model, at another size if one is given.

    Args:
        model: a kerasvit model.
        image_size: `(height, width)` in pixels that the patches fill; None for the model's own.

    Raises:
        UsageError: if the record has no preprocessing, or patches do not fill the size.
    """
    preprocessing = recorded_preprocessing(model.record, model.name)
    if image_size is None:
        return preprocessing
    if any(side % patch for side, patch in zip(image_size, model.patch_size, strict=True)):
        raise UsageError(
            f"Patches of {tuple(model.patch_size)} pixels must fill the image. "
            f"Received: image_size={tuple(image_size)}. Choose multiples."
        )
    height, width = image_size
    return dataclasses.replace(preprocessing, image_size=(height, width))


def run_pictures(
    model: ScoreModel,
    preprocessing: Preprocessing,
    folder: PictureFolder,
    batch_size: int = 32,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a model's first output for every picture that can be read.

    Args:
        model: a kerasvit model, best a view with the attention mode "none": logits, or features
            of a model without a head.
        preprocessing: the evaluation transform that its pictures want.
        folder: the pictures. Those that cannot be read are named in its `broken`.
        batch_size: how many run at once.
        advance: called after each batch with the number of its pictures.

    Returns:
        outputs: float32 array `(n, ...)`.
        indices: int array `(n,)`: which pictures of the folder these are, in order.

    Raises:
        InputError: if no picture can be read.
    """
    batch_size = min(batch_size, len(folder))
    outputs, read = [], []
    for size, pixels, indices in prepared_batches(preprocessing, folder, batch_size):
        if len(indices):
            # One shape for all batches, so that nothing is compiled twice.
            missing = [(0, batch_size - len(pixels)), *[(0, 0)] * 3]
            batch_outputs = np.asarray(
                model.predict_on_batch(np.pad(pixels, missing))[0], np.float32
            )
            outputs.append(batch_outputs[: len(pixels)])
            read += indices
        if advance is not None:
            advance(size)
    if not read:
        raise InputError(
            "There must be a picture that can be read. "
            f"Received: {len(folder)}, {len(folder.broken)} of them broken. Check the folder."
        )
    return np.concatenate(outputs), np.array(read)


def prepared_batches(
    preprocessing: Preprocessing, folder: PictureFolder, batch_size: int
) -> Iterator[tuple[int, np.ndarray, list[int]]]:
    """Yield batches of pictures, prepared for evaluation, in the folder's order.

    Yields:
        size: how many pictures of the folder the batch stands for.
        pixels: float32 array `(b, h, w, 3)` of those that can be read, b at most `size`.
        indices: which ones these are.
    """

    def prepare(start: int):
        indices = range(start, min(start + batch_size, len(folder)))
        read = [(index, prepared(folder, index, preprocessing)) for index in indices]
        good = {index: pixels for index, pixels in read if pixels is not None}
        shape = (0, *preprocessing.image_size, 3)
        stacked = np.stack([*good.values()]) if good else np.zeros(shape, np.float32)
        return len(indices), stacked, list(good)

    for _, batch in load_ahead(range(0, len(folder), batch_size), prepare):
        yield batch.result()


def prepared(folder: PictureFolder, index: int, preprocessing: Preprocessing) -> np.ndarray | None:
    """Return a picture's pixels; None, noted in `broken`, for one that cannot be had."""
    image = folder.try_read(index)
    if image is None:
        return None
    try:
        return preprocessing.evaluate(image).pixels
    except InputError as error:  # so narrow that it cannot be resized
        folder.broken.append((str(folder.paths[index]), str(error)))
        return None
