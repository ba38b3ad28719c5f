"""The files of one picture: sheet, overlays, arrays, viewer, and the way through the layers."""

import json
import pathlib
import time
from typing import Any

import numpy as np
from PIL import Image

from kerasvit import __version__
from kerasvit.cli.commands.predict import describe
from kerasvit.cli.explaining import Explainer, Found, Loaded
from kerasvit.cli.manifest import Manifest
from kerasvit.cli.outputs import Outputs, overlay_name
from kerasvit.cli.pictures import Progress, shown
from kerasvit.files import write_npz
from kerasvit.render import (
    Canvas,
    Look,
    animate,
    comparison_sheet,
    saliency_sheet,
    write_gif,
    write_png,
)
from kerasvit.render.standard import block_title
from kerasvit.render.viewer.page import write_viewer
from kerasvit.saliency import SaliencyMap, block_scores
from kerasvit.saliency.explain import FORWARD_ONLY, MASKS, SIGNED

_BARS = 3


class Artist:
    """Draws the pictures of one run.

    Args:
        explainer: makes the maps.
        manifest: notes what was done.
    """

    def __init__(self, explainer: Explainer, manifest: Manifest) -> None:
        self.explainer, self.manifest = explainer, manifest
        self.settings, self.overwrite = explainer.settings, explainer.options.overwrite

    def draw(
        self, path: pathlib.Path, loaded: Loaded, outputs: Outputs, progress: Progress
    ) -> None:
        """Explain a picture, write its files, and note it in the manifest.

        Raises:
            InputError: if the scores or outputs are not finite.
            OutputError: if a file cannot be written.
            UsageError: if the model lacks what is asked for.
        """
        started = time.perf_counter()
        found = self.explainer.explain(loaded)
        if found.flat:
            names = ", ".join(found.flat)
            progress.complain(f"{shown(path)}: every patch has the same value: {names}")
        self._write(path, loaded, found, outputs.files)
        facts = _facts(loaded, found, outputs)
        seconds = round(time.perf_counter() - started, 3)
        self.manifest.add(path, **facts, seconds=seconds)
        classes = f"{describe(found.classes)} -> " if found.classes else ""
        progress.line(f"{shown(path)}: {classes}{shown(next(iter(outputs.files.values())))}")

    def _write(
        self, path: pathlib.Path, loaded: Loaded, found: Found, files: dict[str, pathlib.Path]
    ) -> None:
        if "sheet" in files:
            write_png(files["sheet"], self._sheet(path, loaded, found), self.overwrite)
            for method, one in found.maps.items():
                file = files[overlay_name(method, len(found.maps) == 1)]
                drawn = self._look(method).overlay(self._canvas(loaded), one.values[0])
                write_png(file, drawn, self.overwrite)
        if "arrays" in files:
            write_npz(files["arrays"], self._arrays(found), self.overwrite)
        if "layers" in files:
            write_gif(files["layers"], self._frames(loaded), overwrite=self.overwrite)
        if "viewer" in files:
            self._view(path, loaded, files["viewer"])

    def _canvas(self, loaded: Loaded) -> Canvas:
        return Canvas(loaded.image, loaded.prepared.geometry, self.settings.colormap)

    def _look(self, method: str) -> Look:
        normalisation = "max" if method in SIGNED else "minmax"
        # A mask ends where a patch ends.
        interpolation = "nearest" if method in MASKS else "bicubic"
        return Look(self.settings.style, self.settings.mass, normalisation, interpolation)

    def _sheet(self, path: pathlib.Path, loaded: Loaded, found: Found) -> Image.Image:
        geometry, label = loaded.prepared.geometry, self.explainer.label
        blocks = {key: one.values[0] for key, one in found.blocks.items()}
        titles = {method: self._title(method, one) for method, one in found.maps.items()}
        classes = [(name, probability) for _, name, probability in found.classes[:_BARS]]
        if len(found.maps) > 1:
            maps = {titles[method]: one.values[0] for method, one in found.maps.items()}
            return comparison_sheet(
                *(loaded.image, loaded.prepared.image, maps, geometry, classes),
                looks={titles[method]: self._look(method) for method in found.maps},
                blocks=blocks,
                title=_heading(path),
                lines=[label],
                colormap=self.settings.colormap,
            )
        ((method, one),) = found.maps.items()
        look = self._look(method)
        return saliency_sheet(
            *(loaded.image, blocks, one.values[0], geometry, classes),
            title=_heading(path),
            subtitle=label,
            saliency_title=titles[method],
            colormap=self.settings.colormap,
            style=look.style,
            mass=look.mass,
            normalisation=look.normalisation,
            interpolation=look.interpolation,
        )

    def _title(self, method: str, one: SaliencyMap) -> str:
        """Return what a map is called on a sheet: its method, with its class or its heads."""
        name = method.replace("_", " ")
        if method == "attention":
            head = self.settings.head
            heads = f"head {head}" if isinstance(head, int) else head
            return f"{block_title(one.layers[0])} · {heads}"
        if method in FORWARD_ONLY:
            return name
        wanted = self.explainer.class_name(one.target[0]) if one.target else "the feature"
        return f"{name} for {wanted}"

    def _frames(self, loaded: Loaded) -> list[Image.Image]:
        blocks = self.explainer.through_layers(loaded)
        maps = {
            f"{block_title(key)}, from {_asks(one.query)}": one.values[0]
            for key, one in blocks.items()
        }
        geometry, look = loaded.prepared.geometry, self._look("attention")
        return animate(loaded.image, maps, geometry, look, self.settings.colormap)

    def _view(self, path: pathlib.Path, loaded: Loaded, file: pathlib.Path) -> None:
        scores, layouts = block_scores(self.explainer.model, loaded.prepared.pixels)
        write_viewer(
            *(file, loaded.image, scores, layouts, loaded.prepared.geometry),
            title=_heading(path),
            overwrite=self.overwrite,
            note=self.explainer.label,
            colormap=self.settings.colormap,
        )

    def _arrays(self, found: Found) -> dict[str, np.ndarray]:
        """Return every map by its method, the heads by their block, and what they mean."""
        arrays = {key: one.values[0] for key, one in found.blocks.items()}
        arrays |= {method: one.values[0] for method, one in found.maps.items()}
        one = next(iter(found.maps.values()))
        arrays["box"] = np.array(one.geometries[0].box)
        arrays["original_size"] = np.array(one.geometries[0].original_size)
        if one.logits is not None:
            arrays["logits"] = one.logits[0]
        header = {
            "version": __version__,
            "model": self.explainer.label,
            "geometry": one.geometries[0].to_dict(),
            "maps": {method: _origin(found.maps[method]) for method in found.maps},
        }
        arrays["header"] = np.array(json.dumps(header, default=np.generic.item))
        return arrays


def _facts(loaded: Loaded, found: Found, outputs: Outputs) -> dict[str, Any]:
    """Return what the manifest says of a picture."""
    facts: dict[str, Any] = {
        "size": list(loaded.image.shape[:2]),
        "input_size": list(loaded.prepared.image.shape[:2]),
        "outputs": [file.name for file in outputs.files.values()],
    }
    if found.classes:
        index, name, probability = found.classes[0]
        facts |= {"class": name, "class_index": index, "probability": round(probability, 6)}
    targets = {method: one.target[0] for method, one in found.maps.items() if one.target}
    facts |= {"explained": targets} if targets else {}
    return facts | ({"flat": found.flat} if found.flat else {})


def _origin(one: SaliencyMap) -> dict[str, Any]:
    names = ("layers", "heads", "query", "stage", "target", "settings")
    return {name: getattr(one, name) for name in names}


def _heading(path: pathlib.Path) -> str:
    """Return a picture's name as a font can write it."""
    return path.stem if path.stem.isprintable() else repr(path.stem)[1:-1]


def _asks(query: Any) -> str:
    names = {"class": "the class token", "distillation": "the distillation token"}
    if isinstance(query, str):
        return names.get(query, "all patches")
    return f"patch {query[0]},{query[1]}"
