"""Where a model looks in one picture, computed as the settings say."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from kerasvit.errors import InputError
from kerasvit.images import Prepared
from kerasvit.images.arriving import name_of
from kerasvit.images.cropping import aspect_size
from kerasvit.images.geometry import Geometry
from kerasvit.look.classes import Prediction, class_name, predictions
from kerasvit.look.first import first_methods
from kerasvit.look.models import LoadedModel, load_model
from kerasvit.look.pictures import open_picture
from kerasvit.look.settings import Settings
from kerasvit.saliency import SaliencyMap, explain, explain_blocks, find_class
from kerasvit.saliency.targets import Target

# One block's scores of 16,384 tokens and 6 heads take 6 GiB; a larger picture is a mistake.
MAX_PATCHES = 16_384
_CLASSES = 5


@dataclasses.dataclass(frozen=True)
class PreparedPicture:
    """A picture that is ready for the model.

    Args:
        image: uint8 `(H, W, 3)`, as it was read.
        prepared: what the maps are made of.
        evaluated: `(h, w, 3)`, what its class is predicted from; None without a head.
    """

    image: np.ndarray
    prepared: Prepared
    evaluated: np.ndarray | None

    @property
    def geometry(self) -> Geometry:
        """Where the model's input lies on the picture."""
        return self.prepared.geometry


@dataclasses.dataclass(frozen=True)
class Explained:
    """A picture and what was computed for it.

    Args:
        picture: as the model saw it.
        maps: by method, of one image.
        blocks: the heads' attention maps by block; empty unless attention is asked for.
        classes: the most probable classes; none of a model without a head. Of many labels those
            that the picture has, at least the most probable.
        has_many_labels: whether these are labels, each with a probability of its own.
    """

    picture: PreparedPicture
    maps: dict[str, SaliencyMap]
    blocks: dict[str, SaliencyMap]
    classes: list[Prediction]
    has_many_labels: bool = False

    @property
    def flat(self) -> list[str]:
        """The methods whose map has the same value everywhere."""
        return [name for name, result in self.maps.items() if result.normalise(None).flat.all()]


class Explainer:
    """Explains picture after picture with one model.

    Args:
        model: as for `load_model`.
        settings: what is asked for; None for what suits the model.

    Raises:
        UsageError: if the model has no such class.
    """

    def __init__(self, model: Any = None, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        loaded: LoadedModel = load_model(model, precision=self.settings.precision)
        self.model, self.preprocessing = loaded.model, loaded.preprocessing
        self.label = loaded.label
        # A regression has values, none of which a sheet could name as the class.
        has_classes = bool(self.model.num_classes) and not self.model.problem.is_regression
        self.classifier = self.model.with_attention("none") if has_classes else None
        self.target = self._find_target()

    def _find_target(self) -> Target:
        """Return the number of the class that is asked for, before any picture is read."""
        target = self.settings.target
        if isinstance(target, np.integer):
            target = int(target)
        if not self.model.num_classes or not isinstance(target, int | str):
            return target
        if target in ("top1", "feature"):
            return target
        problem = self.model.problem
        return find_class(target, problem.num_classes, problem.names)

    def class_name(self, index: int) -> str:
        """Return what a class is called."""
        return class_name(self.model, index)

    def open(self, path: pathlib.Path) -> PreparedPicture:
        """Read a picture and prepare it; may run in the background.

        Raises:
            InputError: if it cannot be read, or has too many patches.
        """
        image = open_picture(path, self.settings.frame, self.settings.max_pixels)
        return self.prepare(image, repr(name_of(path)))

    def prepare(self, image: np.ndarray, name: str = "The picture") -> PreparedPicture:
        """Prepare a picture that is in memory.

        Args:
            image: uint8 `(H, W, 3)`.
            name: what a message calls it.

        Raises:
            InputError: if it has too many patches.
        """
        self._check_patches(name, (image.shape[0], image.shape[1]))
        evaluated = self.preprocessing.evaluate(image).pixels if self.classifier else None
        return PreparedPicture(image, self._fitted(image), evaluated)

    def _check_patches(self, name: str, size: tuple[int, int]) -> None:
        """Raise `InputError` before a picture is enlarged to more patches than a model can bear."""
        settings = self.settings
        if settings.fit == "crop":
            return
        seen = size
        if settings.fit == "aspect":
            short_side = settings.resize or min(self.preprocessing.image_size)
            seen = aspect_size(size, short_side, self.model.patch_size)
        rows, columns = (
            side // patch for side, patch in zip(seen, self.model.patch_size, strict=True)
        )
        if rows * columns > MAX_PATCHES:
            spelling = settings.spelling
            raise InputError(
                f"{name} would become {rows}x{columns} patches; a picture has up to "
                f"{MAX_PATCHES}. Received: {size[0]}x{size[1]} pixels. Use a smaller "
                f"{spelling.name('resize')}, or {spelling.given('fit', 'crop')}"
            )

    def _fitted(self, image: np.ndarray) -> Prepared:
        fit, patch_size = self.settings.fit, self.model.patch_size
        if fit == "exact":
            return self.preprocessing.exact(image, patch_size)
        if fit == "crop":
            return self.preprocessing.evaluate(image)
        return self.preprocessing.keep_aspect(image, self.settings.resize, patch_size=patch_size)

    def explain(self, picture: PreparedPicture) -> Explained:
        """Make the maps of every method, the one that leads first.

        Raises:
            InputError: if the scores or outputs are not finite.
            UsageError: if the model lacks what is asked for.
        """
        pixels, geometries = picture.prepared.pixels[None], [picture.geometry]
        classes: list[Prediction] = []
        target = self.target
        if self.classifier is not None and picture.evaluated is not None:
            classes = predictions(self.classifier, picture.evaluated, _CLASSES)
            # What the sheet names as the class is what the maps explain.
            if target is None or (isinstance(target, str) and target == "top1"):
                target = classes[0].number
        maps: dict[str, SaliencyMap] = {}
        blocks: dict[str, SaliencyMap] = {}
        for method in self._methods((pixels.shape[1], pixels.shape[2])):
            if method == "attention":
                blocks = self._blocks(pixels, geometries)
                maps[method] = self._shown(blocks)
            else:
                arguments = self.settings.arguments(method, target)
                maps[method] = explain(
                    self.model, pixels, method, geometries=geometries, **arguments
                )
        has_many_labels = bool(classes) and self.model.problem.has_many_labels
        return Explained(picture, maps, blocks, classes, has_many_labels)

    def _methods(self, image_size: tuple[int, int]) -> tuple[str, ...]:
        settings = self.settings
        if not settings.is_open:
            return settings.methods
        explains_class = settings.target is not None or bool(settings.options)
        return first_methods(self.model, image_size, explains_class)

    def _shown(self, blocks: dict[str, SaliencyMap]) -> SaliencyMap:
        """Return the attention that is drawn: one block's, or the mean over class attention's.

        Asked for by name it is the block that the papers draw: CaiT's first, a ViT's last.
        """
        fused = [block.fuse(self.settings.heads) for block in blocks.values()]
        is_class_attention = fused[0].stage == "ca"
        if not (self.settings.is_open and is_class_attention):
            return fused[0 if is_class_attention else -1]
        mean = np.mean([block.values for block in fused], axis=0)
        return dataclasses.replace(fused[0], values=mean, layers=tuple(blocks))

    def _blocks(self, pixels: np.ndarray, geometries: list[Geometry]) -> dict[str, SaliencyMap]:
        settings = self.settings
        layers = settings.layer if settings.layer in (None, "all") else [settings.layer]
        return explain_blocks(
            self.model,
            pixels,
            layers,
            query=settings.query,
            stage=settings.stage,
            geometries=geometries,
        )

    def through_layers(self, picture: PreparedPicture) -> dict[str, SaliencyMap]:
        """Return the attention of every block in order of depth, heads fused."""
        pixels, settings = picture.prepared.pixels[None], self.settings
        has_both = self.model.class_blocks and not self.model.attends_to_channels
        if settings.stage is None and has_both:
            # CaiT's patches have no class token to ask before its class attention.
            blocks = explain_blocks(self.model, pixels, "all", query="patches", stage="sa")
            blocks |= explain_blocks(self.model, pixels, "all", query=settings.query)
        else:
            blocks = explain_blocks(
                self.model, pixels, "all", query=settings.query, stage=settings.stage
            )
        return {key: block.fuse(settings.heads) for key, block in blocks.items()}
