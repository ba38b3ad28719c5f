"""Where a model's input lies on the original picture, and the way back for maps."""

import dataclasses

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.images.resampling import sample_grid


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The place of a model's input on the picture that it was made from.

    Pixel (row, column) of the original covers [row, row + 1] x [column, column + 1].

    Args:
        original_size: `(H, W)` of the original picture in pixels.
        box: `(top, left, bottom, right)` in pixels of the original, with fractions: the part
            that the model's input covers. It may reach outside where the crop padded.
        input_size: `(h, w)` of the model's input in pixels.

    Raises:
        UsageError: if the box has no area.
    """

    original_size: tuple[int, int]
    box: tuple[float, float, float, float]
    input_size: tuple[int, int]

    def __post_init__(self) -> None:
        top, left, bottom, right = self.box
        if not (bottom > top and right > left):
            raise UsageError(
                "A box is (top, left, bottom, right) with bottom > top and right > left. "
                f"Received: box={self.box}."
            )

    def place(
        self,
        values: np.ndarray,
        outside: float = np.nan,
        interpolation: str = "bilinear",
    ) -> np.ndarray:
        """Lay a map onto the original picture.

        Each pixel of the original takes the map's value at the pixel's centre. With "nearest",
        each cell becomes the block of pixels whose centres it covers.

        Args:
            values: array `(..., gh, gw)` on any grid that covers the model's input evenly, such as
                the patch grid or the input's own pixels.
            outside: value of the pixels whose centre the model's input does not cover.
            interpolation: "nearest", "bilinear" or "bicubic"; see `resize_array`.

        Returns:
            float32 array `(..., H, W)`.

        Raises:
            UsageError: for an unknown interpolation or fewer than two axes.
            InputError: if a value is NaN or infinite and has to be mixed with its neighbours.
        """
        values = np.asarray(values)
        if values.ndim < 2:
            raise UsageError(
                f"A map has the axes (..., rows, columns). Received: shape={values.shape}."
            )
        top, left, bottom, right = self.box
        height, width = values.shape[-2:]
        rows, inside_rows = _covered(self.original_size[0], top, bottom, height)
        columns, inside_columns = _covered(self.original_size[1], left, right, width)
        spacing = height / (bottom - top), width / (right - left)
        placed = np.full((*values.shape[:-2], *self.original_size), outside, np.float32)
        placed[..., inside_rows, inside_columns] = sample_grid(
            values, rows, columns, spacing, interpolation
        )
        return placed

    def at_size(self, size: tuple[int, int]) -> "Geometry":
        """Return the same place on the picture when it is shown at another size.

        Args:
            size: `(height, width)` in pixels, both at least 1.
        """
        rows, columns = (new / old for new, old in zip(size, self.original_size, strict=True))
        top, left, bottom, right = self.box
        box = (top * rows, left * columns, bottom * rows, right * columns)
        return Geometry((size[0], size[1]), box, self.input_size)

    def cell_at(self, y: float, x: float, grid: tuple[int, int]) -> tuple[int, int]:
        """Return the cell `(row, column)` of a grid on the model's input that covers a place.

        Args:
            y, x: in pixels of the original, from its top left corner.
            grid: `(rows, columns)` of the cells; those outside of the input are counted on.
        """
        top, left, bottom, right = self.box
        # Multiplied before divided, as in `place`: a place on a seam gives a whole number.
        row = np.floor((y - top) * grid[0] / (bottom - top))
        column = np.floor((x - left) * grid[1] / (right - left))
        return int(row), int(column)

    def to_dict(self) -> dict[str, list]:
        """Return the fields as lists of plain numbers, for JSON."""
        return {
            "original_size": [int(side) for side in self.original_size],
            "box": [float(edge) for edge in self.box],
            "input_size": [int(side) for side in self.input_size],
        }


def _covered(pixels: int, start: float, stop: float, cells: int) -> tuple[np.ndarray, slice]:
    """Return the cell positions of the pixel centres in [start, stop), and those pixels."""
    centres = np.arange(pixels) + 0.5
    first, last = np.searchsorted(centres, [start, stop])
    # Multiplied before divided: a centre on the seam of two cells then gives a whole number.
    positions = (centres[first:last] - start) * cells / (stop - start)
    return positions, slice(int(first), int(last))
