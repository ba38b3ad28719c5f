"""A saliency map with everything that is needed to read, draw and repeat it."""

import dataclasses
import os
from typing import Any, Self

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.images.resampling import resize_array
from kerasvit.layout import TokenLayout
from kerasvit.saliency.archive import damage_named, read_archive, write_archive
from kerasvit.saliency.figures.shown import Shown
from kerasvit.saliency.maps import Heads, Query, fuse_heads
from kerasvit.saliency.mass import mass_mask
from kerasvit.saliency.normalise import Normalised, normalise
from kerasvit.saliency.numbers import rows_of
from kerasvit.saliency.pictures import Photograph


@dataclasses.dataclass(frozen=True, eq=False)
class SaliencyMap(Shown):
    """The maps of a batch of images, not normalised, and how they were made.

    Args:
        values: `(B, rows, columns)`, or `(B, H, rows, columns)` where the heads are kept apart;
            float32 on the grid of patches.
        method: name of the method, as `explain` takes it.
        layout: of the stage that the maps come from.
        stage: `"sa"` or `"ca"`; `"sa+ca"` where a method goes through both.
        layers: keys of the blocks that took part, in order of depth.
        heads: how the heads were combined, see `fuse_heads`.
        query: whose attention it is, see `query_tokens`.
        target: the class that each image's map explains; None where the method knows no class.
        settings: the method's other options; they must be plain values that JSON can hold.
        geometries: where each image's input lies on its photograph, if known.
        logits: `(B, K)`, the model's first output in the same run, if kept.
        photographs: the pictures that were explained, if kept; no file holds them.
        class_names: of the model's classes in order, if known; they are for titles.

    Raises:
        InputError: if the shapes of the fields do not fit each other.
    """

    values: np.ndarray
    method: str
    layout: TokenLayout
    stage: str = "sa"
    layers: tuple[str, ...] = ()
    heads: Heads = "mean"
    query: Query = "class"
    target: tuple[int, ...] | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    geometries: tuple[Geometry, ...] | None = None
    logits: np.ndarray | None = None
    photographs: tuple[Photograph, ...] | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        if len(shape) not in (3, 4) or shape[-2:] != tuple(self.layout.grid):
            raise InputError(
                "The values of a saliency map are (B, rows, columns) or (B, H, rows, columns) on "
                f"the layout's grid of {self.layout.grid}. Received: shape {shape}."
            )
        for name in ("target", "geometries", "logits", "photographs"):
            field = getattr(self, name)
            if field is not None and len(field) != shape[0]:
                raise InputError(
                    f"A saliency map has one entry of {name} for each image. "
                    f"Received: {len(field)} for {shape[0]} images."
                )

    def __len__(self) -> int:
        return len(self.values)

    def select(self, index: int) -> Self:
        """Return the map of one image, still with a batch axis."""
        if not -len(self) <= index < len(self):
            raise UsageError(
                f"There is no such image. Received: index={index!r}, {len(self)} images."
            )
        chosen = slice(index % len(self), index % len(self) + 1)
        names = ("values", "target", "geometries", "logits", "photographs")
        fields = {name: getattr(self, name) for name in names}
        cut = {name: field[chosen] for name, field in fields.items() if field is not None}
        return dataclasses.replace(self, **cut)

    def fuse(self, heads: Heads = "mean") -> Self:
        """Return the map with its heads combined, see `fuse_heads`.

        Raises:
            UsageError: if the heads are combined already, or there is no such head.
        """
        if self.values.ndim != 4:
            raise UsageError(
                f"The heads of this map are combined already. Received: heads={self.heads!r}. "
                "Make the map with heads='all'."
            )
        return dataclasses.replace(self, values=fuse_heads(self.values, heads), heads=heads)

    def normalise(self, method: str | None = "minmax") -> Normalised:
        """Return the values in a common range, each map alone; see `normalise`."""
        return normalise(self.values, method)

    def mask(self, mass: float = 0.6) -> np.ndarray:
        """Return the patches that hold a share of each map, bool, shaped as the values.

        Args:
            mass: the share, see `mass_mask`. Negative values count as 0.

        Raises:
            InputError: if the values are not finite.
            UsageError: if `mass` is out of range.
        """
        return mass_mask(np.maximum(self.values, 0), mass)

    def upsample(
        self, size: tuple[int, int] | None = None, interpolation: str = "bilinear"
    ) -> np.ndarray:
        """Enlarge the maps, outline on outline; see `kerasvit.images.resize_array`.

        Args:
            size: `(height, width)`; None for that of the model's input.
            interpolation: `"nearest"`, `"bilinear"` or `"bicubic"`, which stays within each map's
                range.

        Returns:
            `(B, height, width)`, or with the heads between, float32.

        Raises:
            UsageError: if the size or the interpolation is none.
        """
        return resize_array(self.values, size or self.layout.image_size, interpolation)

    def place(self, index: int = 0, interpolation: str = "bilinear") -> np.ndarray:
        """Lay one image's map, or its heads' maps, onto its photograph.

        Returns:
            `(H, W)` or `(heads, H, W)` in pixels of the photograph, float32, NaN where the model
            saw nothing.

        Raises:
            UsageError: if the geometry is not known.
        """
        if self.geometries is None:
            raise UsageError(
                "The place of this map on a photograph is not known. Received: geometries=None. "
                "Pass geometries to explain."
            )
        return self.geometries[index].place(self.values[index], interpolation=interpolation)

    def save_npz(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the map with its settings to one `.npz` file, atomically.

        The file holds `values`, `logits` if kept, and `header`, a text in JSON.

        Raises:
            OutputError: if the file cannot be written, or exists and `overwrite` is false.
        """
        arrays = {"values": np.asarray(self.values, np.float32)}
        if self.logits is not None:
            arrays["logits"] = np.asarray(self.logits, np.float32)
        names = ("method", "stage", "layers", "heads", "query", "target", "settings")
        header = {name: getattr(self, name) for name in names}
        header["layout"] = dataclasses.asdict(self.layout)
        header["geometries"] = self.geometries and [place.to_dict() for place in self.geometries]
        write_archive(path, arrays, header, overwrite)

    @classmethod
    def load_npz(cls, path: str | os.PathLike[str]) -> Self:
        """Read a map that `save_npz` wrote.

        Raises:
            InputError: if the file is missing, damaged, or something else.
        """
        with damage_named(path):
            return cls(**read_archive(path))

    def picture_name(self, index: int) -> str:
        """Return the name of an image's file, or `""`."""
        return "" if self.photographs is None else self.photographs[index].name

    def target_name(self, index: int) -> str:
        """Return what the class that an image's map explains is called, or `""`."""
        if self.target is None:
            return ""
        number = int(self.target[index])
        return self.class_names[number] if number < len(self.class_names) else f"class {number}"

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each patch, see `Shown.rows`."""
        return rows_of(self)

    def _singles(self) -> list[Self]:
        return [self.select(index) for index in range(len(self))]
