"""What a model says of each patch of a picture, and where that patch lies on the photograph."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.images.preprocessing import Prepared
from kerasvit.images.records import recorded_preprocessing
from kerasvit.saliency.backends import run
from kerasvit.saliency.pictures import Picture, open_pictures

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

Patch = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class PatchFeatures:
    """The features of a picture's patches.

    Args:
        values: float32 `(rows, columns, D)`, finite.
        geometry: where the model's input lies on the photograph.
        image: uint8 `(H, W, 3)`, the photograph; None where it is not at hand.
        name: what outputs call the picture.

    Raises:
        InputError: if the values are no finite `(rows, columns, D)`.
    """

    values: np.ndarray
    geometry: Geometry
    image: np.ndarray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not self.values.size:
            raise InputError(
                "The features of a picture have the axes (rows, columns, channels). "
                f"Received: shape {self.values.shape}. Make them with kerasvit.features.extract."
            )
        if not np.isfinite(self.values).all():
            raise InputError(
                f"Features must be finite. Received: NaN or infinity for {self.name!r}. "
                "Check the model's weights and its input."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """`(rows, columns)` of the patches."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def rows(self) -> np.ndarray:
        """The features one patch after the other, `(P, D)`, row by row."""
        return self.values.reshape(-1, self.values.shape[-1])

    @property
    def directions(self) -> np.ndarray:
        """The features scaled to length 1, float32 `(P, D)`; a feature of zeros stays zero."""
        lengths = np.linalg.norm(self.rows, axis=1, keepdims=True)
        return self.rows / np.maximum(lengths, np.finfo(np.float32).tiny)

    def patch_at(self, pixel: tuple[float, float]) -> Patch:
        """Return the patch `(row, column)` that covers a pixel of the photograph.

        Args:
            pixel: `(row, column)` of the photograph, from the top left.

        Raises:
            UsageError: if the pixel lies outside of what the model saw.
        """
        row, column = self.geometry.cell_at(pixel[0] + 0.5, pixel[1] + 0.5, self.grid)
        if not (0 <= row < self.grid[0] and 0 <= column < self.grid[1]):
            top, left, bottom, right = self.geometry.box
            raise UsageError(
                f"The pixel must lie in what the model saw, rows {top:.0f} to {bottom:.0f} and "
                f"columns {left:.0f} to {right:.0f} of {self.name or 'the photograph'!r}. "
                f"Received: row {pixel[0]}, column {pixel[1]}."
            )
        return row, column

    def check_patch(self, patch: Patch) -> None:
        """Raise `UsageError` unless the picture has this patch."""
        row, column = patch
        if not (0 <= row < self.grid[0] and 0 <= column < self.grid[1]):
            raise UsageError(
                f"The picture {self.name!r} has the patches (0, 0) to "
                f"({self.grid[0] - 1}, {self.grid[1] - 1}), row and column. Received: {patch}."
            )

    def centres(self, patches: np.ndarray) -> np.ndarray:
        """Return where the centres of patches lie on the photograph.

        Args:
            patches: `(n, 2)`, row and column.

        Returns:
            `(n, 2)`, vertical and horizontal, in pixels of the photograph with fractions.
        """
        top, left, bottom, right = self.geometry.box
        steps = (bottom - top) / self.grid[0], (right - left) / self.grid[1]
        return (patches + 0.5) * np.array(steps) + np.array([top, left])


def extract(
    model: "ScoreModel",
    pictures: Picture | Sequence[Picture],
    *,
    block: int = -1,
    normalised: bool = True,
    resize: int | None = None,
) -> list[PatchFeatures]:
    """Return the features of the patches of pictures; tokens before the patches are left out.

    Args:
        model: a kerasvit model.
        pictures: as `kerasvit.saliency.explain` takes them, one or a list: paths, folders,
            `"sample:NAME"`, PIL images, uint8 `(H, W, 3)`. Each is prepared whole, at its own
            aspect ratio, as the model's record says.
        block: number of the self-attention block whose output is read; negative ones count from
            the last.
        normalised: whether the model's last norm is applied, see `model.features`.
        resize: length in pixels of the shorter side that the model sees; None for that of its
            training. Twice the length gives four times as many patches.

    Returns:
        One for each picture.

    Raises:
        InputError: if a picture cannot be read.
        UsageError: if there is no such block, or the record does not say how pictures are prepared.
    """
    preprocessing = recorded_preprocessing(model.record, model.name)
    sources: Sequence[Any] = pictures if isinstance(pictures, list | tuple) else [pictures]
    return [
        extract_prepared(
            model,
            preprocessing.keep_aspect(photograph.pixels, resize, patch_size=model.patch_size),
            photograph.pixels,
            photograph.name,
            block=block,
            normalised=normalised,
        )
        for photograph in open_pictures(sources)
    ]


def extract_prepared(
    model: "ScoreModel",
    prepared: Prepared,
    image: np.ndarray | None = None,
    name: str = "",
    *,
    block: int = -1,
    normalised: bool = True,
) -> PatchFeatures:
    """Return the features of a picture that is ready for the model.

    Args:
        model: a kerasvit model.
        prepared: see `kerasvit.images.Preprocessing`.
        image: the photograph, uint8 `(H, W, 3)`.
        name: what outputs call it.
        block: as for `extract`.
        normalised: as for `extract`.

    Raises:
        InputError: if the features are not finite.
        UsageError: if there is no such block.
    """
    pixels = prepared.pixels[None]
    view = model.with_attention("none")
    tokens = run(view, _tokens, {"pixels": pixels}, (block, normalised))
    rows, columns = model.patch_embedding.grid(*pixels.shape[1:3])
    # What comes before the patches: class, distillation and register tokens, as many as there are.
    patches = tokens[0, tokens.shape[1] - rows * columns :].astype(np.float32)
    return PatchFeatures(patches.reshape(rows, columns, -1), prepared.geometry, image, name)


def _tokens(model: "ScoreModel", tensors: Mapping[str, Any], block: int, normalised: bool) -> Any:
    return model.features(tensors["pixels"], blocks=[block], normalised=normalised)[0]


def check_pictures(pictures: Sequence[PatchFeatures]) -> None:
    """Raise `InputError` unless there are pictures, all with features of one width."""
    widths = [picture.values.shape[-1] for picture in pictures]
    if len(set(widths)) != 1:
        raise InputError(
            "At least 1 picture is needed, all with features of one model. Received: "
            f"{len(pictures)} with {', '.join(map(str, widths)) or 'no'} channels."
        )
