"""From an RGB picture to a model's input, as the release of the model's weights prescribes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.fields import is_whole
from kerasvit.images.cropping import (
    aspect_size,
    centred_offset,
    cut_window,
    resized_size,
)
from kerasvit.images.geometry import Geometry
from kerasvit.images.reading import MAX_PIXELS
from kerasvit.images.rules import PREPROCESSING_RULES, SIDES

# Top, left, bottom, right in pixels of a picture, with fractions.
Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A picture made ready for a model.

    Args:
        pixels: float32 array `(h, w, 3)`, or `(h, w, 1)`, normalised: what the model is given.
        image: uint8 array `(h, w, 3)`, the same before normalisation: what the model sees.
        geometry: where it lies on the original picture.
    """

    pixels: np.ndarray
    image: np.ndarray
    geometry: Geometry


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How a release resizes, crops and normalises a picture for evaluation.

    Args:
        image_size: `(h, w)` of the model's input in pixels.
        crop_fraction: float in (0, 1]. The input's share of the sides of the resized picture.
        crop_mode: "center" keeps the aspect ratio and crops the longer side; "squash" gives it
            up; "border" fits the longer side and fills the rest with the mean colour.
        interpolation: a filter of Pillow: "nearest", "box", "bilinear", "hamming", "bicubic"
            or "lanczos".
        mean: three floats, per channel, of pixel values scaled to [0, 1]; one for all. A
            model whose mean and std are one each sees grey pictures (luminance, Pillow's mode "L").
        std: floats above 0, likewise.

    Raises:
        UsageError: if a value is out of its range; the message names it.

    Source: the evaluation transform of timm 1.0, timm/data/transforms_factory.py
    `transforms_imagenet_eval`, with torchvision's rules of rounding.
    """

    image_size: tuple[int, int]
    _: dataclasses.KW_ONLY
    crop_fraction: float = 0.875
    crop_mode: str = "center"
    interpolation: str = "bicubic"
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, rule in PREPROCESSING_RULES.items():
            value = getattr(self, name)
            if not rule.holds(value):
                raise UsageError(
                    f"Preprocessing: {name} must be {rule.words}. Received: {name}={value!r}."
                )
            object.__setattr__(self, name, rule.make(value))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as numbers, strings and lists, for JSON or TOML."""
        fields = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Rebuild from what `to_dict` returned.

        Raises:
            UsageError: if a key is unknown or missing, each named, or a value out of its range.
        """
        expected = {field.name for field in dataclasses.fields(cls)}
        missing, unknown = sorted(expected - set(record)), sorted(set(record) - expected, key=str)
        if missing or unknown:
            raise UsageError(
                f"A preprocessing record has exactly the keys {', '.join(sorted(expected))}. "
                f"Received: missing keys {missing}, unknown keys {unknown}. Correct the record."
            )
        return cls(**record)

    def evaluate(self, image: np.ndarray) -> Prepared:
        """Apply the release's evaluation transform; the bits are those of timm with Pillow.

        Args:
            image: uint8 array `(H, W, 3)`, RGB, as `read` returns it.

        Raises:
            UsageError: if `image` is no such array.
            InputError: if the picture is so narrow that it would shrink to nothing, or grow
                beyond the largest picture that `read` accepts.
        """
        _check_picture(image)
        original = image.shape[:2]
        size = resized_size(original, self.image_size, self.crop_fraction, self.crop_mode)
        top, left = centred_offset(size, self.image_size)
        bottom, right = top + self.image_size[0], left + self.image_size[1]
        # Only "border" ever pads: the other modes resize to at least the input's size.
        fill = [round(255 * value) for value in self.mean] * (3 // len(self.mean))
        window = cut_window(self._resize(image, size), (top, left, bottom, right), fill)
        vertical, horizontal = original[0] / size[0], original[1] / size[1]
        box = top * vertical, left * horizontal, bottom * vertical, right * horizontal
        return self._prepared(window, original, box)

    def keep_aspect(
        self,
        image: np.ndarray,
        short_side: int | None = None,
        *,
        patch_size: tuple[int, int],
    ) -> Prepared:
        """Resize the whole picture, its aspect ratio kept up to the rounding to patches.

        Args:
            image: uint8 array `(H, W, 3)`, RGB.
            short_side: length in pixels that the shorter side is brought near to. Defaults to
                the smaller side of `image_size`.
            patch_size: `(height, width)` in pixels; each side becomes its nearest positive
                multiple.

        Raises:
            UsageError: if an argument is of the wrong type or out of range.
            InputError: if the result would be larger than the largest picture `read` accepts.
        """
        _check_picture(image)
        patch_size = _size("patch_size", patch_size)
        short_side = min(self.image_size) if short_side is None else short_side
        if not is_whole(short_side, 1):
            raise UsageError(
                "short_side must be a whole number of at least 1. "
                f"Received: short_side={short_side!r}."
            )
        height, width = image.shape[:2]
        size = aspect_size((height, width), short_side, patch_size)
        return self._prepared(self._resize(image, size), (height, width), (0, 0, height, width))

    def exact(self, image: np.ndarray, patch_size: tuple[int, int]) -> Prepared:
        """Take the picture's own pixels; what does not fill a patch is cut at bottom and right.

        Args:
            image: uint8 array `(H, W, 3)`, RGB.
            patch_size: `(height, width)` in pixels.

        Raises:
            UsageError: if an argument is of the wrong type or out of range.
            InputError: if a side is shorter than one patch.
        """
        _check_picture(image)
        patch_size = _size("patch_size", patch_size)
        height, width = (
            side // patch * patch for side, patch in zip(image.shape, patch_size, strict=False)
        )
        if not (height and width):
            raise InputError(
                "A picture that is not resized must hold at least one patch: at least "
                f"{patch_size[0]} x {patch_size[1]} pixels (height x width). "
                f"Received: {image.shape[0]} x {image.shape[1]}. Let it be resized."
            )
        cropped = image[:height, :width].copy()
        return self._prepared(cropped, image.shape[:2], (0, 0, height, width))

    def restore(self, pixels: np.ndarray) -> np.ndarray:
        """Undo the normalisation.

        Args:
            pixels: float array `(..., 3)`, normalised.

        Returns:
            uint8 array of the same shape; what lies outside [0, 255] is cut off.
        """
        values = np.asarray(pixels, np.float32) * np.asarray(self.std, np.float32)
        shares = np.clip(values + np.asarray(self.mean, np.float32), 0.0, 1.0)
        return np.rint(shares * 255.0).astype(np.uint8)

    def _prepared(self, image: np.ndarray, original: tuple[int, int], box: Box) -> Prepared:
        values = image
        if len(self.mean) == len(self.std) == 1:
            grey = Image.fromarray(image).convert("L")
            values, image = np.asarray(grey)[..., None], np.array(grey.convert("RGB"))
        # In float32 and in this order, as torchvision's ToTensor and Normalize do it.
        scaled = values.astype(np.float32) / np.float32(255.0)
        centred = scaled - np.asarray(self.mean, np.float32)
        pixels = centred / np.asarray(self.std, np.float32)
        top, left, bottom, right = map(float, box)
        height, width = image.shape[:2]
        geometry = Geometry(original, (top, left, bottom, right), (height, width))
        return Prepared(pixels, image, geometry)

    def _resize(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        height, width = size
        if not 1 <= height * width <= MAX_PIXELS:
            raise InputError(
                "A picture this narrow cannot be resized: the result must have 1 to "
                f"{MAX_PIXELS} pixels. Received: {image.shape[0]} x {image.shape[1]} pixels, "
                f"which would become {height} x {width} (height x width). Crop it first."
            )
        resample = Image.Resampling[self.interpolation.upper()]
        return np.array(Image.fromarray(image).resize((width, height), resample))


def _check_picture(image: np.ndarray) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    dtype = getattr(image, "dtype", None)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise UsageError(
            "A picture is a uint8 array (H, W, 3), RGB. "
            f"Received: {type(image).__name__}, shape={shape}, dtype={dtype}. "
            "kerasvit.images.read makes one of a file, a PIL image or an array."
        )


def _size(name: str, value: Any) -> tuple[int, int]:
    """Return a (height, width) of positive ints, whatever sequence it came as."""
    if not SIDES.holds(value):
        raise UsageError(
            f"{name} must be 2 whole numbers of at least 1. Received: {name}={value!r}."
        )
    return SIDES.make(value)
