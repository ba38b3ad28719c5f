"""RandAugment, ThreeAugment and colour jitter of single pictures, by Pillow."""

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Fill = tuple[int, int, int]

# How far a magnitude strays, as a share of the scale: timm's "mstd0.5" of 10.
_DEVIATION = 0.05


def rand_augment(
    image: Image.Image,
    rng: np.random.Generator,
    magnitude: float = 0.9,
    operations: int = 2,
    fill: Fill = (128, 128, 128),
) -> Image.Image:
    """Apply some of `OPERATIONS`, each drawn with replacement and done half of the time.

    Args:
        image: RGB.
        rng: what is drawn from.
        magnitude: mean strength in [0, 1], 0.9 for what DeiT calls m9.
        operations: how many are drawn.
        fill: what is put where nothing of the picture is left.

    Returns:
        A picture of the same size.

    Source: Cubuk et al. 2020 (https://arxiv.org/abs/1909.13719), with the set and the strengths of
    timm's "rand-m9-mstd0.5-inc1" (timm/data/auto_augment.py of 1.0.31), which DeiT trained with.
    """
    for _ in range(operations):
        name = _NAMES[rng.integers(len(_NAMES))]
        applies = rng.random() < 0.5
        level = float(np.clip(rng.normal(magnitude, _DEVIATION), 0.0, 1.0))
        sign = 1 if rng.random() < 0.5 else -1
        if applies:
            image = OPERATIONS[name](image, level, sign, fill)
    return image


def three_augment(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Make a picture grey, solarise it, or blur it: one of the three.

    Args:
        image: RGB.
        rng: what is drawn from.

    Source: Touvron et al. 2022, section 4 (https://arxiv.org/abs/2204.07118); blur radius in
    [0.1, 2] and solarising from 128 as in DeiT III's code.
    """
    choice, radius = rng.integers(3), rng.uniform(0.1, 2.0)
    if choice == 0:
        return image.convert("L").convert("RGB")
    if choice == 1:
        return ImageOps.solarize(image, 128)
    return image.filter(ImageFilter.GaussianBlur(radius))


def jitter(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change brightness, contrast and saturation, in random order.

    Args:
        image: RGB.
        rng: what is drawn from.
        strength: each factor is drawn uniformly in [1 - strength, 1 + strength].
    """
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    factors = rng.uniform(1 - strength, 1 + strength, size=3)
    for number in rng.permutation(3):
        image = enhancers[number](image).enhance(float(factors[number]))
    return image


def _enhance(enhancer: type, image: Image.Image, level: float, sign: int, fill: Fill):
    return enhancer(image).enhance(max(0.1, 1.0 + sign * 0.9 * level))


def _affine(shift: Callable, image: Image.Image, level: float, sign: int, fill: Fill):
    matrix = shift(sign * level, *image.size)
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )


def _rotate(image: Image.Image, level: float, sign: int, fill: Fill):
    return image.rotate(sign * 30.0 * level, Image.Resampling.BICUBIC, fillcolor=fill)


def _posterize(image: Image.Image, level: float, sign: int, fill: Fill):
    return ImageOps.posterize(image, max(1, 4 - int(4 * level)))


def _solarize(image: Image.Image, level: float, sign: int, fill: Fill):
    return ImageOps.solarize(image, 256 - int(256 * level))


def _solarize_add(image: Image.Image, level: float, sign: int, fill: Fill):
    added = min(128, int(110 * level))
    table = [min(255, value + added) if value < 128 else value for value in range(256)]
    return image.point(table * 3)


# From `(picture, level in [0, 1], sign, fill)` to the changed picture.
OPERATIONS: dict[str, Callable[[Image.Image, float, int, Fill], Image.Image]] = {
    "AutoContrast": lambda image, level, sign, fill: ImageOps.autocontrast(image),
    "Equalize": lambda image, level, sign, fill: ImageOps.equalize(image),
    "Invert": lambda image, level, sign, fill: ImageOps.invert(image),
    "Rotate": _rotate,
    "PosterizeIncreasing": _posterize,
    "SolarizeIncreasing": _solarize,
    "SolarizeAdd": _solarize_add,
    "ColorIncreasing": functools.partial(_enhance, ImageEnhance.Color),
    "ContrastIncreasing": functools.partial(_enhance, ImageEnhance.Contrast),
    "BrightnessIncreasing": functools.partial(_enhance, ImageEnhance.Brightness),
    "SharpnessIncreasing": functools.partial(_enhance, ImageEnhance.Sharpness),
    "ShearX": functools.partial(_affine, lambda a, w, h: (1, 0.3 * a, 0, 0, 1, 0)),
    "ShearY": functools.partial(_affine, lambda a, w, h: (1, 0, 0, 0.3 * a, 1, 0)),
    "TranslateXRel": functools.partial(_affine, lambda a, w, h: (1, 0, 0.45 * a * w, 0, 1, 0)),
    "TranslateYRel": functools.partial(_affine, lambda a, w, h: (1, 0, 0, 0, 1, 0.45 * a * h)),
}
_NAMES = tuple(OPERATIONS)
