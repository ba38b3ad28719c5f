"""Where a model looks in one picture, computed as the options say."""

import argparse
import dataclasses
import pathlib
from typing import Any

import numpy as np

from kerasvit.cli.commands.predict import predictions
from kerasvit.cli.options import model_label, open_picture
from kerasvit.cli.settings import Settings
from kerasvit.errors import InputError
from kerasvit.images import Prepared, Preprocessing
from kerasvit.images.cropping import aspect_size
from kerasvit.saliency import SaliencyMap, explain, explain_blocks, find_class

# One block's scores of 16,384 tokens and 6 heads take 6 GiB; a larger picture is a mistake.
MAX_PATCHES = 16_384
_CLASSES = 5


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A picture that is ready for the model.

    Args:
        image: uint8 `(H, W, 3)`, as it was read.
        prepared: what the maps are made of.
        evaluated: `(h, w, 3)`, what its class is predicted from; None without a head.
    """

    image: np.ndarray
    prepared: Prepared
    evaluated: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Found:
    """What was computed for a picture.

    Args:
        maps: by method, of one image.
        blocks: the heads' attention maps by block; empty unless attention is asked for.
        classes: number, name and probability of the most probable classes.
    """

    maps: dict[str, SaliencyMap]
    blocks: dict[str, SaliencyMap]
    classes: list[tuple[int, str, float]]

    @property
    def flat(self) -> list[str]:
        """The methods whose map has the same value everywhere."""
        return [method for method, one in self.maps.items() if one.normalise(None).flat.all()]


class Explainer:
    """Explains the pictures of one run.

    Args:
        model: a kerasvit model.
        preprocessing: its own.
        settings: what is asked for.
        options: of the command line.

    Raises:
        UsageError: if the model has no such class.
    """

    def __init__(
        self,
        model: Any,
        preprocessing: Preprocessing,
        settings: Settings,
        options: argparse.Namespace,
    ) -> None:
        self.model, self.preprocessing, self.settings = model, preprocessing, settings
        self.options, self.label = options, model_label(model, options.model)
        self.class_names = model.record.get("class_names") or []
        self.classifier = model.with_attention("none") if model.num_classes else None
        self.target = self._find_target()

    def _find_target(self) -> int | str | None:
        """Return the class of `--class` by its number, before any picture is read."""
        target = self.settings.target
        if not self.model.num_classes or target in (None, "top1", "feature"):
            return target
        return find_class(target, self.model.num_classes, self.class_names)

    def class_name(self, index: int) -> str:
        """Return what a class is called."""
        names = self.class_names
        return names[index] if index < len(names) else f"class {index}"

    def load(self, path: pathlib.Path) -> Loaded:
        """Read a picture and prepare it; runs in the background.

        Raises:
            InputError: if it cannot be read, or has too many patches.
        """
        image = open_picture(self.options, path)
        self._check_patches(path, image.shape[:2])
        prepared = self._prepare(image)
        evaluated = self.preprocessing.evaluate(image).pixels if self.classifier else None
        return Loaded(image, prepared, evaluated)

    def _check_patches(self, path: pathlib.Path, size: tuple[int, int]) -> None:
        """Raise `InputError` before a picture is enlarged to more patches than a model can bear."""
        if self.settings.fit == "crop":
            return
        seen = size
        if self.settings.fit == "aspect":
            short_side = self.settings.resize or min(self.preprocessing.image_size)
            seen = aspect_size(size, short_side, self.model.patch_size)
        rows, columns = (
            side // patch for side, patch in zip(seen, self.model.patch_size, strict=True)
        )
        if rows * columns > MAX_PATCHES:
            raise InputError(
                f"{str(path)!r} would become {rows}x{columns} patches; a picture has up to "
                f"{MAX_PATCHES}. Received: {size[0]}x{size[1]} pixels. "
                "Use a smaller --resize, or --fit crop"
            )

    def _prepare(self, image: np.ndarray) -> Prepared:
        fit, patch_size = self.settings.fit, self.model.patch_size
        if fit == "exact":
            return self.preprocessing.exact(image, patch_size)
        if fit == "crop":
            return self.preprocessing.evaluate(image)
        return self.preprocessing.keep_aspect(image, self.settings.resize, patch_size=patch_size)

    def explain(self, loaded: Loaded) -> Found:
        """Make the maps of every method.

        Raises:
            InputError: if the scores or outputs are not finite.
            UsageError: if the model lacks what is asked for.
        """
        pixels, geometries = loaded.prepared.pixels[None], [loaded.prepared.geometry]
        classes, target = [], self.target
        if self.classifier:
            classes = predictions(self.classifier, loaded.evaluated, _CLASSES)
            # What the sheet names as the class is what the maps explain.
            target = classes[0][0] if target in (None, "top1") else target
        maps, blocks = {}, {}
        for method in self.settings.methods:
            if method == "attention":
                blocks = self._blocks(pixels, geometries)
                maps[method] = _shown_block(blocks).fuse(self.settings.head)
            else:
                arguments = self.settings.arguments(method, target)
                maps[method] = explain(
                    self.model, pixels, method, geometries=geometries, **arguments
                )
        return Found(maps, blocks, classes)

    def _blocks(self, pixels: np.ndarray, geometries: list) -> dict[str, SaliencyMap]:
        settings = self.settings
        layers = settings.layer if settings.layer in (None, "all") else [settings.layer]
        arguments = {"query": settings.query, "stage": settings.stage, "geometries": geometries}
        return explain_blocks(self.model, pixels, layers, **arguments)

    def through_layers(self, loaded: Loaded) -> dict[str, SaliencyMap]:
        """Return the attention of every block in order of depth, heads fused."""
        pixels, settings = loaded.prepared.pixels[None], self.settings
        if settings.stage is None and self.model.class_blocks:
            # CaiT's patches have no class token to ask before its class attention.
            blocks = explain_blocks(self.model, pixels, "all", query="patches", stage="sa")
            blocks |= explain_blocks(self.model, pixels, "all", query=settings.query)
        else:
            chosen = {"query": settings.query, "stage": settings.stage}
            blocks = explain_blocks(self.model, pixels, "all", **chosen)
        return {key: one.fuse(settings.head) for key, one in blocks.items()}


def _shown_block(blocks: dict[str, SaliencyMap]) -> SaliencyMap:
    """Return the block whose heads are fused into the map: CaiT's first, a ViT's last."""
    ordered = list(blocks.values())
    return ordered[0 if ordered[0].stage == "ca" else -1]
