"""One training picture of any size, cut, mirrored and coloured; Pillow and NumPy."""

import dataclasses

import numpy as np
from PIL import Image

from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data import colours
from kerasvit.training.data.augmentation import pad, padded_windows, resized_window
from kerasvit.training.recipe.tables import Augmentation


def vary(
    picture: np.ndarray,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> np.ndarray:
    """Cut, mirror and colour a picture as a recipe says.

    Args:
        picture: uint8 `(h, w, 3)`.
        augmentation: of the recipe; erasing and mixing are for batches.
        preprocessing: gives the size, the filter, and the colour that fills empty places.
        rng: what is drawn from.

    Returns:
        uint8 `(rows, columns, 3)` of the preprocessing's `image_size`.
    """
    return recolour(
        _cut(picture, augmentation, preprocessing, rng), augmentation, preprocessing, rng
    )


def recolour(
    picture: np.ndarray,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> np.ndarray:
    """Do the last part of `vary`: RandAugment or ThreeAugment, then jitter, where there are any."""
    if augmentation.colour == "none" and not augmentation.jitter:
        return picture
    image = Image.fromarray(picture)
    if augmentation.colour == "rand_augment":
        red, green, blue = (round(255 * value) for value in preprocessing.mean)
        image = colours.rand_augment(
            image, rng, augmentation.magnitude, augmentation.operations, (red, green, blue)
        )
    elif augmentation.colour == "three_augment":
        image = colours.three_augment(image, rng)
    if augmentation.jitter:
        image = colours.jitter(image, rng, augmentation.jitter)
    return np.asarray(image)


def resized_crop(
    picture: np.ndarray,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> np.ndarray:
    """Cut a random window, and squash it into the preprocessing's `image_size`.

    Args:
        picture: uint8 `(h, w, 3)`.
        preprocessing: gives the size and the filter.
        rng: what is drawn from.
        scale: see `kerasvit.training.data.augmentation.resized_window`.
        ratio: likewise.

    Returns:
        uint8 `(rows, columns, 3)`.
    """
    height, width = picture.shape[:2]
    top, left, bottom, right = resized_window(height, width, rng, scale, ratio)
    part = np.ascontiguousarray(picture[top:bottom, left:right])
    whole = dataclasses.replace(preprocessing, crop_fraction=1.0, crop_mode="squash")
    return whole.evaluate(part).image


def mirrored(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture `(h, w, 3)`, or in half of the cases its mirror image."""
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def _cut(
    picture: np.ndarray,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> np.ndarray:
    if augmentation.crop == "resized":
        image = resized_crop(picture, preprocessing, rng, augmentation.scale, augmentation.ratio)
        return mirrored(image, rng) if augmentation.flip else image
    whole = dataclasses.replace(preprocessing, crop_fraction=1.0)
    image = whole.evaluate(picture).image
    margin = 0 if augmentation.crop == "none" else augmentation.padding
    padded = pad(image[None], margin, augmentation.padding_mode)
    first = np.zeros(1, int)
    return padded_windows(padded, first, margin, rng, flip=augmentation.flip)[0][0]
