"""What is drawn of one photograph: sheet, overlays, arrays, viewer, the way through the layers."""

import json
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from kerasvit import __version__
from kerasvit.files import write_npz
from kerasvit.look.explainer import Explained, Explainer
from kerasvit.look.planning.outputs import output_name, overlay_name
from kerasvit.render import (
    Canvas,
    Look,
    animate,
    write_gif,
)
from kerasvit.render.comparison import comparison_drawing
from kerasvit.render.drawing import UNITS_AN_INCH, Drawing
from kerasvit.render.figures import FIGURE_FORMATS, write_figure, write_picture
from kerasvit.render.labels import block_title, blocks_title
from kerasvit.render.standard import saliency_drawing
from kerasvit.render.viewer.page import write_viewer
from kerasvit.saliency import METHODS, SaliencyMap, block_scores

_BARS = 3


class Artist:
    """Draws what an explainer found.

    Args:
        explainer: makes the maps.
    """

    def __init__(self, explainer: Explainer) -> None:
        self.explainer, self.settings = explainer, explainer.settings

    def write(
        self,
        explained: Explained,
        files: dict[str, pathlib.Path],
        title: str = "",
        overwrite: bool = False,
    ) -> None:
        """Write the files of a picture.

        Args:
            explained: what `Explainer.explain` returned.
            files: by what they hold, see `kerasvit.look.planning.outputs.Outputs`.
            title: of the picture.
            overwrite: whether files may be replaced.

        Raises:
            InputError: if the scores are not finite, or too many for a viewer.
            OutputError: if a file cannot be written, or exists and `overwrite` is false.
        """
        if any(output_name("sheet", kind) in files for kind in FIGURE_FORMATS):
            self._write_figures(explained, files, title, overwrite)
        if "arrays" in files:
            write_npz(files["arrays"], self.arrays(explained), overwrite)
        if "layers" in files:
            write_gif(files["layers"], self.layers(explained), overwrite=overwrite)
        if "viewer" in files:
            self.write_viewer(files["viewer"], explained, title, overwrite)

    def _write_figures(
        self, explained: Explained, files: dict[str, pathlib.Path], title: str, overwrite: bool
    ) -> None:
        """Write the sheet and the overlays in each format that is asked for."""
        kinds = [kind for kind in FIGURE_FORMATS if output_name("sheet", kind) in files]
        said: dict[str, Any] = {"dpi": self.dpi, "title": title, "overwrite": overwrite}
        sheet = self.drawing(explained, title)
        for kind in kinds:
            write_figure(files[output_name("sheet", kind)], sheet, kind, **said)
        single = self.settings.has_one_overlay
        for method in list(explained.maps)[: 1 if single else None]:
            overlay = self.overlay(explained, method)
            for kind in kinds:
                file = files[output_name(overlay_name(method, single), kind)]
                write_picture(file, overlay, kind, **said)

    @property
    def dpi(self) -> float:
        """Dots an inch of the figures."""
        return UNITS_AN_INCH if self.settings.dpi is None else self.settings.dpi

    def overlay(self, explained: Explained, method: str | None = None) -> np.ndarray:
        """Return the map of a method over the photograph, uint8 `(H, W, 3)`.

        Args:
            explained: what `Explainer.explain` returned.
            method: None for the first.
        """
        method = method or next(iter(explained.maps))
        picture = explained.picture
        canvas = Canvas(picture.image, picture.geometry, self.settings.colormap)
        return self.look(method).overlay(canvas, explained.maps[method].values[0])

    def look(self, method: str) -> Look:
        """Return how the map of a method is drawn."""
        return Look.of(method, self.settings.drawn_style, self.settings.drawn_mass)

    def sheet(self, explained: Explained, title: str = "") -> Image.Image:
        """Return the sheet: one method's map with every head, or the maps of several methods."""
        return self.drawing(explained, title).image(self.dpi / UNITS_AN_INCH)

    def drawing(self, explained: Explained, title: str = "") -> Drawing:
        """Return the sheet as a page of marks, its pictures with the pixels of the settings' dpi.

        Args:
            explained: what `Explainer.explain` returned.
            title: the heading.
        """
        blocks = {key: block.values[0] for key, block in explained.blocks.items()}
        classes = [(name, probability) for _, name, probability in explained.classes[:_BARS]]
        if len(explained.maps) > 1:
            return self._comparison(explained, blocks, classes, title)
        ((method, result),) = explained.maps.items()
        look = self.look(method)
        return saliency_drawing(
            explained.picture.image,
            blocks,
            result.values[0],
            explained.picture.geometry,
            classes,
            title=title,
            subtitle=self.explainer.label,
            saliency_title=self.map_title(method, result),
            colormap=self.settings.colormap,
            look=look,
            resolution=self.dpi / UNITS_AN_INCH,
        )

    def _comparison(
        self,
        explained: Explained,
        blocks: dict[str, np.ndarray],
        classes: list[tuple[str, float]],
        title: str,
    ) -> Drawing:
        titles = {
            method: self.map_title(method, result) for method, result in explained.maps.items()
        }
        return comparison_drawing(
            explained.picture.image,
            explained.picture.prepared.image,
            {titles[method]: result.values[0] for method, result in explained.maps.items()},
            explained.picture.geometry,
            classes,
            looks={titles[method]: self.look(method) for method in explained.maps},
            blocks=blocks,
            title=title,
            lines=[self.explainer.label],
            colormap=self.settings.colormap,
            resolution=self.dpi / UNITS_AN_INCH,
        )

    def map_title(self, method: str, result: SaliencyMap) -> str:
        """Return what a map is called on a sheet: its method, with its class or its heads."""
        name = method.replace("_", " ")
        if method == "attention":
            heads = self.settings.heads
            shown = f"head {heads}" if isinstance(heads, int) else heads
            return f"{blocks_title(result.layers)} · {shown}"
        if "target" not in METHODS[method].takes:
            return name
        if result.settings.get("times_attention"):
            name += " x attention"
        wanted = self.explainer.class_name(result.target[0]) if result.target else "the feature"
        return f"{name} for {wanted}"

    def layers(self, explained: Explained) -> list[Image.Image]:
        """Return the frames of the way through the layers, one for each block."""
        picture = explained.picture
        blocks = self.explainer.through_layers(picture)
        maps = {
            f"{block_title(key)}, from {_asks(block.query)}": block.values[0]
            for key, block in blocks.items()
        }
        look = self.look("attention")
        return animate(picture.image, maps, picture.geometry, look, self.settings.colormap)

    def write_viewer(
        self, file: pathlib.Path, explained: Explained, title: str = "", overwrite: bool = False
    ) -> None:
        """Write the viewer of every score, see `kerasvit.render.viewer.page.write_viewer`."""
        picture = explained.picture
        scores, layouts = block_scores(self.explainer.model, picture.prepared.pixels)
        write_viewer(
            file,
            picture.image,
            scores,
            layouts,
            picture.geometry,
            title=title,
            overwrite=overwrite,
            note=self.explainer.label,
            colormap=self.settings.colormap,
        )

    def arrays(self, explained: Explained) -> dict[str, np.ndarray]:
        """Return every map by its method, the heads by their block, and what they mean.

        The map that is laid over the photograph comes first.
        """
        arrays = {method: result.values[0] for method, result in explained.maps.items()}
        arrays |= {key: block.values[0] for key, block in explained.blocks.items()}
        geometry = explained.picture.geometry
        arrays["box"] = np.array(geometry.box)
        arrays["original_size"] = np.array(geometry.original_size)
        first = next(iter(explained.maps.values()))
        if first.logits is not None:
            arrays["logits"] = first.logits[0]
        header = {
            "version": __version__,
            "model": self.explainer.label,
            "geometry": geometry.to_dict(),
            "maps": {method: _origin(result) for method, result in explained.maps.items()},
        }
        arrays["header"] = np.array(json.dumps(header, default=np.generic.item))
        return arrays


def _origin(result: SaliencyMap) -> dict[str, Any]:
    names = ("layers", "heads", "query", "stage", "target", "settings")
    return {name: getattr(result, name) for name in names}


def _asks(query: Any) -> str:
    names = {"class": "the class token", "distillation": "the distillation token"}
    if isinstance(query, str):
        return names.get(query, "all patches")
    return f"patch {query[0]},{query[1]}"
