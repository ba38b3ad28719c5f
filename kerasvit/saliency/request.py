"""What every method needs to know of a call, and the only place that runs the model."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.saliency.maps import Query
from kerasvit.saliency.result import SaliencyMap

STAGES = ("sa", "ca")


@dataclasses.dataclass(frozen=True)
class Request:
    """A checked call of `explain`.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed, B at least 1.
        query: see `query_tokens`.
        stage: `"sa"` or `"ca"`, one that the model has.
        geometries: one for each image, or None.
        batch_size: how many images run at once.
    """

    model: Any
    pixels: np.ndarray
    query: Query
    stage: str
    geometries: tuple[Geometry, ...] | None
    batch_size: int

    def layout(self, stage: str) -> TokenLayout:
        """Return the layout of a stage for images of this size."""
        return self.model.token_layout(self.pixels.shape[1:3], stage=stage)

    def keys(self) -> list[str]:
        """Return the keys of all blocks of the stage, also those whose scores are not asked for."""
        depth = self.model.num_class_layers if self.stage == "ca" else self.model.num_layers
        return [f"{self.stage}_ffn_block_{index:02d}_att" for index in range(depth)]

    def view(self, mode: str, blocks: Sequence[int] | None = None, **overrides: Any) -> Any:
        """Return the model in another attention mode, with those overrides that it knows."""
        # A pair of logits is for training by distillation; predictions need their mean.
        overrides = {"distillation_output": "average", **overrides}
        known = getattr(self.model, "view_arguments", ())
        overrides = {name: value for name, value in overrides.items() if name in known}
        return self.model.with_attention(mode, blocks=blocks, **overrides)

    def run(self, view: Any) -> Iterator[tuple[np.ndarray, Mapping, Mapping]]:
        """Yield logits and scores of one batch after the other, so that scores need not pile up."""
        with _without_gradients():
            for start in range(0, len(self.pixels), self.batch_size):
                batch = self.pixels[start : start + self.batch_size]
                logits, sa_scores, ca_scores = view(batch, training=False)
                yield to_numpy(logits).astype(np.float32), sa_scores, ca_scores

    def result(self, values: np.ndarray, **fields: Any) -> SaliencyMap:
        """Return the maps with what the request knows of them."""
        return SaliencyMap(values, query=self.query, geometries=self.geometries, **fields)


def make_request(
    model: Any,
    pixels: np.ndarray,
    query: Query = "class",
    stage: str | None = None,
    geometries: Sequence[Geometry] | None = None,
    batch_size: int = 8,
) -> Request:
    """Check the arguments that all methods share; see `explain` for their meaning.

    Raises:
        InputError: if `pixels` has another number of axes, or `geometries` another length.
        UsageError: if the model lacks the stage, or the batch size is not positive.
    """
    pixels = to_numpy(pixels)
    if pixels.ndim != 4 or not len(pixels):
        raise InputError(
            "A model's input has four axes, batch, height, width, channels, and at least one "
            f"image. Received: shape {pixels.shape}. Add a missing batch axis: pixels[None]."
        )
    if geometries is not None and len(geometries) != len(pixels):
        raise InputError(
            "There must be one geometry for each image. "
            f"Received: {len(geometries)} geometries for {len(pixels)} images."
        )
    if batch_size < 1:
        raise UsageError(f"A batch holds at least one image. Received: batch_size={batch_size}.")
    stages = STAGES if getattr(model, "num_class_layers", 0) > 0 else STAGES[:1]
    if stage is not None and stage not in stages:
        raise UsageError(
            f"This model has no such stage of attention. Received: stage={stage!r}. "
            f"Choose {' or '.join(map(repr, stages))}."
        )
    geometries = None if geometries is None else tuple(geometries)
    return Request(model, pixels, query, stage or stages[-1], geometries, batch_size)


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a tensor of any backend, or an array, as a NumPy array."""
    if isinstance(tensor, np.ndarray):
        return tensor
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _without_gradients() -> contextlib.AbstractContextManager:
    """PyTorch would keep every block's activations for a backward pass that never comes."""
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
