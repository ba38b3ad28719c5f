"""What a model attends to while it trains."""

import logging
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from PIL import Image

from kerasvit.errors import InputError, KerasViTError, UsageError
from kerasvit.files import check_outputs, make_folder, write_npz
from kerasvit.images.geometry import Geometry
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.images.reading import read
from kerasvit.render.files import write_png
from kerasvit.render.layer_sheet import layer_sheet
from kerasvit.saliency import explain, explain_blocks, fuse_heads

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

_log = logging.getLogger(__name__)


class AttentionCallback(keras.callbacks.Callback):
    """Draw fixed pictures and what the model attends to in them, epoch by epoch.

    Each drawn epoch leaves `epoch_0001.png`, a sheet of every head of every layer and their
    average, and `epoch_0001.npz`, the maps. In a notebook the sheet is also shown, always in the
    same place. An epoch that is not drawn costs nothing. Before training the maps are made once,
    so that a wrong option stops nothing later; what fails during training, such as a full disk or
    scores that are no longer finite, is logged and training goes on.

    Args:
        images: `(B, h, w, 3)`, float, as the model is given them in training; or, with
            `preprocessing`, pictures as `kerasvit.images.read` takes them: paths, uint8 arrays.
        folder: where the files go; it is made if missing.
        every: int. Draw the epochs that this divides, counted from 1.
        layers: blocks, see `kerasvit.saliency.select_block`; None for all of the stage.
        heads: numbers of the heads to show; None for all.
        method: `"attention"`, or another of `kerasvit.saliency.explain`, which has one map a
            picture in place of layers and heads.
        query: whose attention, see `kerasvit.saliency.query_tokens`.
        stage: `"ca"` or `"sa"`; None for class attention where the model has it.
        settings: further keyword arguments of `kerasvit.saliency.explain` for other methods.
        preprocessing: how pictures become the model's input, for evaluation.
        scale: see `kerasvit.render.layer_sheet`.
        colormap: see `kerasvit.render.colourise`.
        notebook: whether to show the sheet where there is a notebook.
        overwrite: whether files of earlier runs are replaced.
        model: the kerasvit model, if it is only a part of the one that trains.

    Raises:
        InputError: if the images are not what they should be.
        UsageError: if an option is out of range.
    """

    def __init__(
        self,
        images: Any,
        folder: str | os.PathLike[str],
        every: int = 1,
        layers: Sequence[int | str] | None = None,
        heads: Sequence[int] | None = None,
        method: str = "attention",
        *,
        query: str | tuple[int, int] = "class",
        stage: str | None = None,
        settings: Mapping[str, Any] | None = None,
        preprocessing: Preprocessing | None = None,
        scale: str = "panel",
        colormap: str = "cividis",
        notebook: bool = True,
        overwrite: bool = False,
        model: "ScoreModel | None" = None,
    ) -> None:
        super().__init__()
        if every < 1:
            raise UsageError(f"An epoch is drawn every 1 or more. Received: every={every!r}.")
        self.folder, self.every, self.overwrite = pathlib.Path(folder), every, overwrite
        self.layers, self.heads, self.method = layers, heads, method
        self.query, self.stage = query, stage
        self.settings = dict(settings or {})
        self.scale, self.colormap = scale, colormap
        self.pixels, self.pictures = _prepare(images, preprocessing)
        self.part = model
        self.display = _NotebookDisplay() if notebook else None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Make the folder, and the maps once, to find out what is wrong before any training."""
        make_folder(self.folder)
        self.sheet(*self.maps())

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Refuse to train an epoch whose picture could not be kept."""
        check_outputs(self._files(epoch), overwrite=self.overwrite)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Draw the epoch, if it is one that is drawn."""
        if not self._files(epoch):
            return
        try:
            self._draw(epoch, logs or {})
        except KerasViTError as error:
            _log.warning("Epoch %d is not drawn: %s", epoch + 1, error)

    def maps(self) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Return the maps of the model as it is now.

        Returns:
            By key of the block `(B, heads, rows, columns)`, empty for other methods than attention;
            and the map of another method `(B, rows, columns)`, else None.
        """
        model = self.part or self.model
        if self.method != "attention":
            result = explain(
                model,
                self.pixels,
                self.method,
                **{"query": self.query, "stage": self.stage, **self.settings},
            )
            return {}, result.values
        layers = "all" if self.layers is None else self.layers
        blocks = explain_blocks(model, self.pixels, layers, query=self.query, stage=self.stage)
        heads = None if self.heads is None else list(self.heads)
        return {key: _chosen(block.values, heads) for key, block in blocks.items()}, None

    def sheet(
        self,
        maps: Mapping[str, np.ndarray],
        average: np.ndarray | None,
        title: str = "",
        line: str = "",
    ) -> Image.Image:
        """Draw maps as they come from `maps`."""
        size = self.pixels.shape[1:3]
        whole = Geometry(size, (0, 0, *size), size)
        name = "average attention" if average is None else self.method
        return layer_sheet(
            self.pictures,
            maps,
            [whole] * len(self.pictures),
            average=average,
            average_title=name,
            title=title,
            lines=[line],
            scale=self.scale,
            colormap=self.colormap,
        )

    def _files(self, epoch: int) -> list[pathlib.Path]:
        if (epoch + 1) % self.every:
            return []
        return [self.folder / f"epoch_{epoch + 1:04d}.{suffix}" for suffix in ("png", "npz")]

    def _draw(self, epoch: int, logs: Mapping[str, float]) -> None:
        maps, average = self.maps()
        words = " · ".join(f"{name} {float(value):.4g}" for name, value in logs.items())
        sheet = self.sheet(maps, average, f"epoch {epoch + 1}", words)
        picture, arrays = self._files(epoch)
        write_npz(arrays, maps if average is None else {self.method: average}, self.overwrite)
        write_png(picture, sheet, self.overwrite)
        if self.display:
            self.display.show(sheet)


def _chosen(maps: np.ndarray, heads: list[int] | None) -> np.ndarray:
    if heads is None:
        return maps
    return np.stack([fuse_heads(maps, head) for head in heads], axis=1)


_NONE: np.ndarray = np.zeros(0)


def _prepare(
    images: Any, preprocessing: Preprocessing | None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the model's input, and the same as pictures, uint8."""
    if preprocessing is not None:
        prepared = [preprocessing.evaluate(read(image)) for image in images]
        pixels = np.stack([picture.pixels for picture in prepared]) if prepared else _NONE
    else:
        pixels = np.asarray(images)
    if pixels.ndim != 4 or not pixels.size or pixels.shape[3] != 3:
        raise InputError(
            "The images are at least one, (B, h, w, 3), as the model is given them. "
            f"Received: shape {pixels.shape}. For files or pictures of any size pass preprocessing."
        )
    if preprocessing is not None:
        return pixels, [picture.image for picture in prepared]
    return pixels, [_visible(image) for image in pixels]


def _visible(pixels: np.ndarray) -> np.ndarray:
    """Return one image as it can be shown, whatever it was normalised by."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels.astype(np.float32) - low) / max(high - low, 1e-12)
    return np.rint(255 * scaled).astype(np.uint8)


class _NotebookDisplay:
    """One place in a notebook's output, or nothing where there is no notebook."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, picture: Image.Image) -> None:
        """Show a picture in the place of the one before."""
        # Where no notebook runs, IPython has not been imported; it is none of our dependencies.
        shell = "IPython" in sys.modules and sys.modules["IPython"].get_ipython()
        if not shell or not hasattr(shell, "kernel"):
            return
        if self.handle is None:
            from IPython.display import display

            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)
