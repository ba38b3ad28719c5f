"""Batches of pictures that vary: windows, flips, erased rectangles, mixtures. NumPy, seeded."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Moves:
    """How the pictures of a batch were moved, for targets that must follow.

    Args:
        shifts: int array `(B, 2)`: pixels that the content moved down and right, before mirroring.
        mirrored: bool array `(B,)`: which were then mirrored left to right.
    """

    shifts: np.ndarray
    mirrored: np.ndarray


def pad(images: np.ndarray, margin: int, mode: str) -> np.ndarray:
    """Put a margin around pictures.

    Args:
        images: uint8 array `(N, h, w, 3)`.
        margin: pixels on each side, less than a side.
        mode: "reflect" the picture or "black".

    Returns:
        uint8 array `(N, h + 2 margin, w + 2 margin, 3)`.
    """
    widths = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    return np.pad(images, widths, mode="reflect" if mode == "reflect" else "constant")


def padded_windows(
    padded: np.ndarray,
    indices: np.ndarray,
    margin: int,
    rng: np.random.Generator,
    flip: bool = True,
) -> tuple[np.ndarray, Moves]:
    """Cut a random window of the original size out of padded pictures, half of them mirrored.

    Args:
        padded: uint8 array `(N, h + 2 margin, w + 2 margin, 3)`, see `pad`.
        indices: int array `(B,)`: which pictures.
        margin: pixels on each side; 0 for no movement.
        rng: what is drawn from; two draws a picture and one for mirroring, whatever the options.
        flip: whether pictures are mirrored.

    Returns:
        uint8 array `(B, h, w, 3)`, and how each was moved.

    Source: He et al. 2016, section 4.2 (https://arxiv.org/abs/1512.03385).
    """
    shifts = rng.integers(-margin, margin + 1, size=(len(indices), 2))
    mirrored = rng.random(len(indices)) < (0.5 if flip else 0.0)
    size = (padded.shape[1] - 2 * margin, padded.shape[2] - 2 * margin)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2))
    # (B, 3, h, w): the content moves down where the window moves up.
    batch = windows[indices, margin - shifts[:, 0], margin - shifts[:, 1]]
    batch = np.ascontiguousarray(np.moveaxis(batch, 1, -1))
    batch[mirrored] = batch[mirrored, :, ::-1]
    return batch, Moves(shifts, mirrored)


def resized_window(
    height: int,
    width: int,
    rng: np.random.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """Draw the window of a random resized crop.

    Ten tries draw a share of the area uniformly in `scale` and a ratio of width to height
    log-uniformly in `ratio`; where none fits, the largest centred window of an allowed ratio is
    taken.

    Args:
        height: of the picture, in pixels.
        width: likewise.
        rng: what is drawn from.
        scale: smallest and largest share of the picture's area.
        ratio: smallest and largest ratio of the sides.

    Returns:
        top, left, bottom, right in pixels.

    Source: Szegedy et al. 2015, section 6 (https://arxiv.org/abs/1409.4842), by torchvision's rule.
    """
    low, high = np.log(ratio)
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            return top, left, top + h, left + w
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - h) // 2, (width - w) // 2
    return top, left, top + h, left + w


def erase(
    images: np.ndarray,
    rng: np.random.Generator,
    probability: float,
    scale: tuple[float, float] = (0.02, 1 / 3),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
) -> np.ndarray:
    """Replace a rectangle of some pictures by noise, in place.

    Args:
        images: float array `(B, h, w, 3)`, normalised.
        rng: what is drawn from.
        probability: of each picture to lose a rectangle.
        scale: smallest and largest share of the area.
        ratio: smallest and largest ratio of the sides.

    Returns:
        The same array: normal noise of variance 1 where something was erased.

    Source: Zhong et al. 2020 (https://arxiv.org/abs/1708.04896); noise by pixel as in DeiT.
    """
    height, width = images.shape[1:3]
    for number in np.flatnonzero(rng.random(len(images)) < probability):
        for _ in range(10):
            area = height * width * rng.uniform(*scale)
            aspect = math.exp(rng.uniform(*np.log(ratio)))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w < width and 0 < h < height:
                top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
                noise = rng.standard_normal((h, w, images.shape[3]), np.float32)
                images[number, top : top + h, left : left + w] = noise
                break
    return images


def mix(
    images: np.ndarray,
    targets: np.ndarray,
    rng: np.random.Generator,
    mixup: float = 0.8,
    cutmix: float = 1.0,
    probability: float = 1.0,
    switch: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Mix a batch with itself in reverse order: each picture with another, labels alike.

    Mixup: `x = lam x + (1 - lam) x[::-1]`. Cutmix: a rectangle of the other picture, with `lam`
    the share of pixels that are kept. In both `y = lam y + (1 - lam) y[::-1]`, and `lam` is drawn
    from a beta distribution with two equal parameters, once for the batch.

    Args:
        images: float array `(B, h, w, 3)`.
        targets: float array `(B, K)`, probabilities.
        rng: what is drawn from.
        mixup: parameter of mixup's distribution; 0 for no mixup.
        cutmix: parameter of cutmix's; 0 for no cutmix.
        probability: of a batch to be mixed at all.
        switch: probability of cutmix where there are both.

    Returns:
        The mixed images and targets; new arrays.

    Source: Zhang et al. 2018 (https://arxiv.org/abs/1710.09412), Yun et al. 2019
    (https://arxiv.org/abs/1905.04899); both in one run as in DeiT, `timm.data.Mixup` by batch.
    """
    applies, prefers_cutmix = rng.random() < probability, rng.random() < switch
    use_cutmix = cutmix > 0 and (prefers_cutmix or mixup <= 0)
    alpha = cutmix if use_cutmix else mixup
    if not applies or alpha <= 0:
        return images, targets
    share = float(rng.beta(alpha, alpha))
    if use_cutmix:
        height, width = images.shape[1:3]
        top, left, bottom, right = _cut_window(height, width, share, rng)
        mixed = images.copy()
        mixed[:, top:bottom, left:right] = images[::-1, top:bottom, left:right]
        share = 1.0 - (bottom - top) * (right - left) / (height * width)
    else:
        mixed = images * np.float32(share) + images[::-1] * np.float32(1.0 - share)
    return mixed, (share * targets + (1.0 - share) * targets[::-1]).astype(targets.dtype)


def _cut_window(height: int, width: int, kept: float, rng: np.random.Generator):
    """Return a window of `1 - kept` of the area around a random centre, cut at the border."""
    share = math.sqrt(1.0 - kept)
    h, w = int(height * share), int(width * share)
    row, column = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = np.clip((row - h // 2, row + h // 2), 0, height)
    left, right = np.clip((column - w // 2, column + w // 2), 0, width)
    return int(top), int(left), int(bottom), int(right)


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return float32 `(B, K)` of class numbers `(B,)`."""
    return np.eye(num_classes, dtype=np.float32)[labels]
