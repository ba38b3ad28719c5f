"""What every method needs to know of a call, and the only place that runs the model."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.layout import BlockKey, TokenLayout, channels_refused
from kerasvit.saliency.backends import run, to_numpy
from kerasvit.saliency.maps import Heads, Query
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import select_block
from kerasvit.saliency.targets import Target, check_count

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

STAGES = ("sa", "ca")


@dataclasses.dataclass(frozen=True)
class Request:
    """A checked call of `explain`.

    Args:
        model: a kerasvit model.
        pixels: `(B, h, w, 3)`, preprocessed, B at least 1.
        query: see `query_tokens`.
        stage: `"sa"` or `"ca"`, one that the model has; `"xca"` of an XCiT whose head reads the
            patches, so that none of its attention is among tokens.
        geometries: one for each image, or None.
        batch_size: how many images run at once.
        target: what the maps explain, see `make_objective`.
        layer: the block to look at, see `select_block`, or None.
        heads: how heads are combined, see `fuse_heads`.
    """

    model: "ScoreModel"
    pixels: np.ndarray
    query: Query
    stage: str
    geometries: tuple[Geometry, ...] | None
    batch_size: int
    target: Target = None
    layer: int | str | None = None
    heads: Heads = "mean"

    def layout(self, stage: str) -> TokenLayout:
        """Return the layout of a stage for images of this size."""
        return self.model.token_layout(self.pixels.shape[1:3], stage=stage)

    @property
    def through(self) -> str:
        """The stages that attention is followed through, as results name them."""
        return "+".join(stage for stage in STAGES if self.keys(stage))

    def keys(self, stage: str | None = None) -> list[str]:
        """Return the keys of all blocks of a stage, also those whose scores are not asked for."""
        stage = stage or self.stage
        blocks = self.model.class_blocks if stage == "ca" else self.model.blocks
        wanted = blocks if stage in stages_of(self.model) else ()
        return [str(BlockKey.parse(block.name)) for block in wanted]

    def chosen_key(self) -> str:
        """Return the key of the block to look at: `layer`, or the one that the stage is known by.

        That is the first block of class attention, which the CaiT paper draws, or the last block
        of self-attention.
        """
        usual = "first" if self.stage == "ca" else "last"
        return select_block(self.keys(), usual if self.layer is None else self.layer)

    def view(
        self, mode: str, blocks: Sequence[int] | None = None, **overrides: Any
    ) -> "ScoreModel":
        """Return the model in another attention mode, with those overrides that it knows."""
        # A pair of logits is for training by distillation; predictions need their mean.
        overrides = {"distillation_output": "average", **overrides}
        known = self.model.view_arguments
        overrides = {name: value for name, value in overrides.items() if name in known}
        return self.model.with_attention(mode, blocks=blocks, **overrides)

    def run(self, view: "ScoreModel") -> Iterator[tuple[np.ndarray, Mapping, Mapping]]:
        """Yield logits and scores of one batch after the other, so that scores need not pile up."""
        for chosen in self.batches():
            inputs = {"pixels": self.pixels[chosen]}
            logits, sa_scores, ca_scores = run(view, _call, inputs)
            yield logits.astype(np.float32), sa_scores, ca_scores

    def batches(self) -> list[slice]:
        """Return which images run together."""
        starts = range(0, len(self.pixels), self.batch_size)
        return [slice(start, start + self.batch_size) for start in starts]

    def result(self, values: np.ndarray, **fields: Any) -> SaliencyMap:
        """Return the maps with what the request knows of them."""
        known = {"query": self.query, "geometries": self.geometries}
        return SaliencyMap(values, **{**known, **fields})


def make_request(
    model: "ScoreModel",
    pixels: np.ndarray,
    query: Query = "class",
    stage: str | None = None,
    geometries: Sequence[Geometry] | None = None,
    batch_size: int = 8,
    target: Target = None,
    layer: int | str | None = None,
    heads: Heads = "mean",
) -> Request:
    """Check the arguments that all methods share; see `explain` for their meaning.

    Raises:
        InputError: if `pixels` has another number of axes, or `geometries` or `target` another
            length.
        UsageError: if the model lacks the stage, or the batch size is not positive.
    """
    pixels = to_numpy(pixels)
    _check_pixels(pixels, geometries, batch_size)
    stages = _stages(model, stage)
    if query == "class" and "ca" not in stages:
        tokens = model.token_layout(pixels.shape[1:3]).prefix
        query = query if "class" in tokens else "mean"
    check_count(target, len(pixels))
    places = None if geometries is None else tuple(geometries)
    return Request(
        model,
        pixels,
        query,
        stage or stages[-1],
        places,
        batch_size,
        target,
        layer,
        heads,
    )


def _check_pixels(pixels: np.ndarray, geometries: Sequence[Geometry] | None, batch_size: int):
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


def _stages(model: "ScoreModel", stage: str | None) -> tuple[str, ...]:
    """Return `stages_of` a model that can be explained, at the stage that is asked for."""
    if model.gives_tokens:
        raise UsageError(
            "A model that reads out every token has no logits of an image to explain. Received: "
            'pooling="none". Make it with pooling="class" or "average".'
        )
    stages = stages_of(model)
    if model.attends_to_channels and stage in ("sa", "xca"):
        raise UsageError(channels_refused(f"stage={stage!r}"))
    if stage is not None and stage not in stages:
        raise UsageError(
            f"This model has no such stage of attention. Received: stage={stage!r}. "
            f"Choose {' or '.join(map(repr, stages))}."
        )
    return stages


def stages_of(model: "ScoreModel") -> tuple[str, ...]:
    """Return the stages of attention that what the head reads has gone through.

    A CaiT whose head reads the mean patch has class attention, but nothing of it reaches the head.
    XCiT's first stage is `"xca"`, attention among channels.
    """
    first = "xca" if model.attends_to_channels else "sa"
    return (first, "ca") if model.class_blocks and not model.reads_patches else (first,)


def model_outputs(model: "ScoreModel", pixels: np.ndarray, batch_size: int = 8) -> np.ndarray:
    """Return a model's first output, `(B, K)`, float32, running `batch_size` images at once."""
    starts = range(0, len(pixels), batch_size)
    batches = [run(model, _first, {"pixels": pixels[i : i + batch_size]}) for i in starts]
    return np.concatenate(batches).astype(np.float32)


def _first(model: "ScoreModel", tensors: Mapping[str, Any]) -> Any:
    return model(tensors["pixels"], training=False)[0]


def _call(model: "ScoreModel", tensors: Mapping[str, Any]) -> Any:
    return model(tensors["pixels"], training=False)
