"""What a file computes: from images to named tensors, in operations of Keras alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasvit.exporting.formats.format import INPUT
from kerasvit.exporting.maps import SaliencyMapper
from kerasvit.exporting.request import ExportRequest
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
        image_shape: `(height, width, channels)` of the images.
        precision, runtime: see `ExportRequest`.
        dtype: of the images: "float32", or "uint8" where preprocessing is part of the file.
        outputs: what the model gives for one picture, by name.

    Raises:
        UsageError: if the model can't give what is asked for, or its record does not say how
            pictures are normalised and they are to be.
    """

    def __init__(self, model: ScoreModel, request: ExportRequest):
        self.request = request
        self.precision, self.runtime = request.precision, request.runtime
        height, width = request.image_size or model.image_shape[:2]
        self.image_shape = (height, width, model.image_shape[2])
        self.dtype = "uint8" if request.preprocess else "float32"
        self.mapper = self._mapper(model)
        self.view = self.mapper.view if self.mapper else self._scores_view(model)
        # A size that the patches don't divide is told here.
        self.view.token_layout(self.image_shape)
        if request.preprocess:
            preprocessing = recorded_preprocessing(model.record, model.name)
            self._mean, self._std = preprocessing.mean, preprocessing.std
        self.outputs = self.reference(self.sample(1, seed=0))

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
            return {"logits": logits, "saliency": self.mapper(sa_scores, ca_scores)}
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

    def sample(self, batch: int, seed: int) -> np.ndarray:
        """Return random pictures `(batch, height, width, C)` as the file takes them."""
        random = np.random.default_rng(seed)
        shape = (batch, *self.image_shape)
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


def _place(name: str) -> tuple[bool, bool, str]:
    """Return what sorts outputs: the logits first, then each stage in the order of depth."""
    return name != "logits", name.startswith("ca_"), name
