"""What a file computes: from images to named tensors, in operations of Keras alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasvit.errors import UsageError
from kerasvit.exporting.formats.format import INPUT
from kerasvit.exporting.maps import SaliencyMapper
from kerasvit.exporting.request import DYNAMIC, ExportRequest
from kerasvit.images.records import recorded_preprocessing
from kerasvit.models.base import ScoreModel
from kerasvit.saliency.backends import run


class Computation:
    """A model with what comes before and after it in a file.

    Args:
        model: the model; its weights are shared.
        request: what comes out.

    Attributes:
        view: the model in the attention mode that the request needs.
        image_shape: `(height, width, channels)` of the images; the model's own where it is open.
        has_open_size: whether any height and width will do that the patches divide.
        size_steps: height and width are multiples of these where they are open.
        precision, runtime: see `ExportRequest`.
        dtype: of the images: "float32", or "uint8" where preprocessing is part of the file.
        outputs: what the model gives for one picture, by name.
        shapes: of the images and of each output: numbers, and the names of axes that a run decides:
            "batch"; "height", "width", "rows" and "columns" of the patches, and "tokens", those of
            the prefix and the patches, where the size is open.

    Raises:
        UsageError: if the model can't give what is asked for, or its record does not say how
            pictures are normalised and they are to be.
    """

    def __init__(self, model: ScoreModel, request: ExportRequest):
        self.request = request
        self.precision, self.runtime = request.precision, request.runtime
        self.has_open_size = request.image_size == DYNAMIC
        if self.has_open_size:
            _require_open_positions(model)
        size = request.image_size
        height, width = model.image_shape[:2] if size is None or isinstance(size, str) else size
        self.image_shape = (height, width, model.image_shape[2])
        patch_embedding = model.patch_embedding
        self.size_steps = (1, 1) if patch_embedding.ignore_remainder else patch_embedding.patch_size
        self.dtype = "uint8" if request.preprocess else "float32"
        self.mapper = self._mapper(model)
        self.view = self.mapper.view if self.mapper else self._scores_view(model)
        # A size that the patches don't divide is told here.
        self.view.token_layout(self.image_shape)
        if request.preprocess:
            preprocessing = recorded_preprocessing(model.record, model.name)
            self._mean, self._std = preprocessing.mean, preprocessing.std
        self.outputs = self.reference(self.sample(1, seed=0))
        self.shapes = self._named_shapes()

    def _mapper(self, model: ScoreModel) -> SaliencyMapper | None:
        if self.request.saliency is None:
            return None
        return SaliencyMapper(self.request.saliency, model, self.image_shape)

    def _scores_view(self, model: ScoreModel) -> ScoreModel:
        request = self.request
        if request.attention is None and request.blocks is None:
            return model
        kept = {name: getattr(model, name) for name in model.view_arguments}
        return model.with_attention(request.attention or model.attention, request.blocks, **kept)

    def __call__(self, images, weights: Sequence[Any] | None = None) -> dict[str, Any]:
        """Return the outputs by name, `logits` first.

        Args:
            images: tensor `(B, height, width, C)`.
            weights: tensors in place of the model's weights, as `stored_weights` lists them.
        """
        if self.request.preprocess:
            # In this order, as `kerasvit.images.Preprocessing` and torchvision do it.
            mean, std = (ops.convert_to_tensor(x, "float32") for x in (self._mean, self._std))
            images = (ops.cast(images, "float32") / 255.0 - mean) / std
        logits, sa_scores, ca_scores = self._call_view(images, weights)
        if self.mapper is not None:
            grid = self.view.patch_embedding.grid_of(images)
            return {"logits": logits, "saliency": self.mapper(sa_scores, ca_scores, grid)}
        return {"logits": logits, **sa_scores, **ca_scores}

    def _call_view(self, images, weights: Sequence[Any] | None):
        if weights is None:
            return self.view(images, training=False)
        values = [ops.cast(value, "float32") for value in weights]
        with keras.StatelessScope(zip(self.view.weights, values, strict=True)):
            return self.view(images, training=False)

    def stored_weights(self, may_be_half: bool = True) -> list[np.ndarray]:
        """Return the weights as the file is to hold them: matrices in float16 if so requested.

        Args:
            may_be_half: False where the format's own writer makes halves of them.
        """
        weights = [np.array(ops.convert_to_numpy(weight)) for weight in self.view.weights]
        if not may_be_half or self.precision != "float16":
            return weights
        return [values.astype(np.float16) if values.ndim > 1 else values for values in weights]

    def _named_shapes(self) -> dict[str, list[Any]]:
        size = ("height", "width") if self.has_open_size else self.image_shape[:2]
        images: list[Any] = ["batch", *size, self.image_shape[2]]
        larger = self.outputs
        if self.has_open_size:
            larger = self.reference(self.sample(1, 0, self.sizes()[-1]))
        shapes = {INPUT: images}
        for name, value in self.outputs.items():
            names = ("rows", "columns") if name == "saliency" else ("tokens", "tokens")
            sides = zip(value.shape[1:], larger[name].shape[1:], strict=True)
            open_names = iter(names)
            shapes[name] = ["batch", *(a if a == b else next(open_names) for a, b in sides)]
        return shapes

    def sizes(self) -> list[tuple[int, int]]:
        """Return the sizes that a file is checked at: its own, and two more where it is open.

        They are lower and wider than the model's own, and larger, with pixels that fill no patch
        where the model ignores them.
        """
        own = self.image_shape[:2]
        if not self.has_open_size:
            return [own]
        embedding = self.view.patch_embedding
        rows, columns = embedding.grid(*own)
        height, width = embedding.patch_size
        rest = (height - 1, width - 1) if embedding.ignore_remainder else (0, 0)
        larger = ((rows + 2) * height + rest[0], (columns + 3) * width + rest[1])
        # Two rows at least: torch.export makes a constant of one.
        lower = (max(2, (rows + 1) // 2) * height, (columns + 1) * width)
        return [own, lower, larger]

    def sample(self, batch: int, seed: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return random pictures `(batch, height, width, C)` as the file takes them.

        Args:
            batch: how many.
            seed: of their pixels.
            size: `(height, width)`; None for `image_shape`'s.
        """
        random = np.random.default_rng(seed)
        shape = (batch, *(size or self.image_shape[:2]), self.image_shape[2])
        if self.dtype == "uint8":
            return random.integers(0, 256, shape, dtype=np.uint8)
        return random.normal(size=shape).astype(np.float32)

    def reference(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the model itself, on Keras and in float32, gives for images."""
        outputs = run(self.view, self._call_on, {INPUT: images})
        # JAX sorts the names.
        return {name: outputs[name] for name in sorted(outputs, key=_place)}

    def _call_on(self, view: ScoreModel, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return self(tensors[INPUT])


def _require_open_positions(model: ScoreModel) -> None:
    """Raise `UsageError` if a model's positions are computed in NumPy, for a known grid alone."""
    if getattr(model, "use_relative_position_bias", False):
        raise UsageError(
            "A model with relative position biases is exported for one size. Received: "
            f"image_size={DYNAMIC!r}. Write one file a size: image_size=(224, 224)."
        )


def _place(name: str) -> tuple[bool, bool, str]:
    """Return what sorts outputs: the logits first, then each stage in the order of depth."""
    return name != "logits", name.startswith("ca_"), name
