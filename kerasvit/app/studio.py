"""Where the page's maps are made: by `kerasvit.look`, as the command makes them."""

import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasvit.app.asked import PATCH, Asked, Drawing
from kerasvit.app.choices import Choices
from kerasvit.app.limits import KEPT_MAPS, KEPT_PICTURES, MAX_PIXELS, MAX_SCORES
from kerasvit.app.recent import Recent
from kerasvit.app.screen import Patch, canvas_of, look_of, patch_at, screen_size
from kerasvit.app.shelf import ModelShelf
from kerasvit.errors import InputError
from kerasvit.features import extract_prepared
from kerasvit.look import Artist, Explained, Explainer, LoadedModel, Prediction, Settings
from kerasvit.look.pictures import open_picture
from kerasvit.render import Canvas, Look
from kerasvit.render.features.outline import outline
from kerasvit.render.features.page import feature_page
from kerasvit.saliency import SaliencyMap
from kerasvit.saliency.maps import Query


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is kept of a picture that was explained: the first map, at the size of the screen.

    Args:
        canvas: the photograph.
        result: the map that leads.
        title: what it is called.
        classes: the most probable classes; none of a regression.
        patch: the one that asks, if one does.
    """

    canvas: Canvas
    result: SaliencyMap
    title: str
    classes: list[Prediction]
    patch: Patch | None


class PageArtist(Artist):
    """Draws as the command does, with the opacity and the clipping of the page.

    Args:
        explainer: makes the maps.
        drawing: None for the command's.
    """

    def __init__(self, explainer: Explainer, drawing: Drawing | None) -> None:
        super().__init__(explainer)
        self._drawing = drawing or Drawing()

    def look(self, method: str) -> Look:
        """Return how the map of a method is drawn."""
        return look_of(method, self._drawing)


class Studio:
    """Explains and draws what visitors ask for, one at a time.

    Args:
        shelf: the models.
    """

    def __init__(self, shelf: ModelShelf) -> None:
        self.shelf = shelf
        self._pictures: Recent[np.ndarray] = Recent(KEPT_PICTURES)
        self._seen: Recent[Seen] = Recent(KEPT_MAPS)
        # A backend's compiled functions and a model's views are made by one thread at a time.
        self._model_runs = threading.RLock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the models to oneself for a while."""
        with self._model_runs:
            yield

    def choices(self, model: str) -> Choices:
        """Return what there is to choose of a model, which is loaded for it."""
        with self._model_runs:
            return Choices.of(self.shelf.get(model))

    def picture(self, path: pathlib.Path) -> np.ndarray:
        """Read a picture as the command does, uint8 `(H, W, 3)`.

        Raises:
            InputError: if it cannot be read, or is too large for the page.
        """
        return self._pictures.get(path, lambda: open_picture(path, max_pixels=MAX_PIXELS))

    def shown_size(self, path: pathlib.Path) -> tuple[int, int]:
        """Return `(height, width)` of a picture on the screen."""
        height, width, _ = self.picture(path).shape
        return screen_size((height, width))

    def see(self, path: pathlib.Path, asked: Asked) -> Seen:
        """Return the map that is asked for, made now unless it was made just before.

        Raises:
            KerasViTError: as `kerasvit.look.Explainer.explain`.
        """
        with self._model_runs:
            return self._seen.get((path, asked), lambda: self._see(path, asked))

    def _see(self, path: pathlib.Path, asked: Asked) -> Seen:
        artist, explained, patch = self.explain(path, asked)
        method, result = next(iter(explained.maps.items()))
        canvas = canvas_of(explained.picture.image, explained.picture.geometry)
        title = artist.map_title(method, result)
        return Seen(canvas, result, title, explained.classes, patch)

    def draw(self, path: pathlib.Path, asked: Asked, drawing: Drawing) -> tuple[np.ndarray, Seen]:
        """Return a map over its photograph for the screen, with the patch that asks outlined.

        Returns:
            uint8 `(h, w, 3)`, and what it shows.

        Raises:
            KerasViTError: as `see`.
        """
        seen = self.see(path, asked)
        canvas = dataclasses.replace(seen.canvas, colormap=drawing.colormap)
        picture = look_of(seen.result.method, drawing).overlay(canvas, seen.result.values[0])
        if seen.patch is not None:
            outline(picture, canvas.geometry, seen.result.layout.grid, seen.patch)
        return picture, seen

    def compare(self, paths: Sequence[pathlib.Path], model: str) -> str:
        """Return a page on which the patch under the pointer asks, in any of these pictures.

        Raises:
            KerasViTError: if a picture cannot be read, or is too large for the page.
        """
        with self._model_runs:
            loaded = self.shelf.get(model)
            explainer = Explainer(loaded, Settings(method="attention"))
            pictures = []
            for path in paths:
                picture = explainer.prepare(self.picture(path), repr(path.name))
                pictures.append(
                    extract_prepared(loaded.model, picture.prepared, picture.image, path.name)
                )
        return feature_page(pictures, title="Which patches are alike", note=loaded.label)

    def explain(
        self, path: pathlib.Path, asked: Asked, drawing: Drawing | None = None
    ) -> tuple[Artist, Explained, Patch | None]:
        """Explain a picture as the command does.

        Returns:
            What draws it, what was found, and the patch that asks, if one does.

        Raises:
            KerasViTError: as `kerasvit.look.Explainer.explain`.
        """
        with self._model_runs:
            loaded = self.shelf.get(asked.model)
            explainer = Explainer(loaded, asked.settings(loaded.model, self._usual(asked), drawing))
            picture = explainer.prepare(self.picture(path), repr(path.name))
            size = picture.prepared.pixels.shape[:2]
            self._check_memory(loaded, (size[0], size[1]))
            patch = None
            if asked.query == PATCH and "query" in asked.takes:
                grid = loaded.model.token_layout(size).grid
                patch = patch_at(asked.point, picture.geometry, grid)
                settings = asked.settings(loaded.model, patch, drawing)
                explainer = Explainer(loaded, settings)
            return PageArtist(explainer, drawing), explainer.explain(picture), patch

    @staticmethod
    def _usual(asked: Asked) -> Query | None:
        """Return the query with which a picture is prepared, before its patches are known."""
        return (0, 0) if asked.query == PATCH else None

    @staticmethod
    def _check_memory(loaded: LoadedModel, size: tuple[int, int]) -> None:
        """Raise `InputError` before the scores and gradients of a picture fill the memory."""
        model: Any = loaded.model
        layout = model.token_layout(size)
        needed = 2 * 4 * model.num_heads * model.num_layers * layout.num_tokens**2
        if needed > MAX_SCORES:
            rows, columns = layout.grid
            raise InputError(
                f"The page draws pictures whose scores take up to {MAX_SCORES / 2**30:.0f} GiB. "
                f"Received: {rows}x{columns} patches, {needed / 2**30:.0f} GiB. Choose a smaller "
                "size for the model, or use: kerasvit saliency"
            )
