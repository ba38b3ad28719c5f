"""Saliency maps as operations of the file itself: the class token's attention, and rollout."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel
from kerasvit.saliency import METHODS
from kerasvit.saliency.maps import query_tokens
from kerasvit.saliency.scores import block_keys


class SaliencyMapper:
    """Turns a model's scores into one map a picture, as `kerasvit.saliency.explain` does.

    Args:
        method: "attention": the mean over the heads of the first class-attention block, or of the
            last self-attention block; "rollout": through all blocks.
        model: the model whose scores are read.
        image_shape: of the images.

    Raises:
        UsageError: if the method has no meaning for the model.

    Attributes:
        view: the model in the attention mode that the method needs.
    """

    def __init__(self, method: str, model: ScoreModel, image_shape: tuple[int, ...]):
        unfit = METHODS[method].reason_against(model)
        if unfit is not None:
            raise UsageError(
                f"This method {unfit.reason}. Received: saliency={method!r}, a model with "
                f"{unfit.argument}={getattr(model, unfit.argument)!r}. Choose saliency='attention'."
            )
        self.method = method
        self.stage = "ca" if model.class_blocks else "sa"
        self.layout = model.token_layout(image_shape, self.stage)
        self.patches = model.token_layout(image_shape, "sa")
        has_class = model.has_class_query
        tokens = query_tokens(self.layout, "class" if has_class else "mean")
        # To the last token of any size, where all patches ask.
        ends_last = tokens[-1] == self.layout.num_tokens - 1 and not self.layout.has_learned_query
        self.asking = slice(tokens[0], None if ends_last else tokens[-1] + 1)
        rolls = method == "rollout" and not model.attends_to_channels
        needs_all = rolls or not has_class
        self.view = self._view(model, "full" if needs_all else "cls")

    def _view(self, model: ScoreModel, mode: str) -> ScoreModel:
        overrides = {"distillation_output": "average", "scores_before_mixing": True}
        known = {name: overrides[name] for name in model.view_arguments if name in overrides}
        blocks = None if self.method == "rollout" else [-1]
        return model.with_attention(mode, blocks, **known)

    def __call__(self, sa_scores: Mapping[str, Any], ca_scores: Mapping[str, Any], grid: Any):
        """Return the maps `(B, rows, columns)`.

        Args:
            sa_scores: of `view`.
            ca_scores: of `view`.
            grid: `(rows, columns)` of the patches, numbers or scalars of a trace.
        """
        if self.method == "rollout":
            row = self._rollout(sa_scores, ca_scores, self.patches.num_prefix + grid[0] * grid[1])
        elif self.stage == "ca":
            first = block_keys(ca_scores)[0]
            row = ops.mean(ca_scores[first], axis=1)[:, 0, self.layout.num_prefix :]
        else:
            row = self._rows(sa_scores[block_keys(sa_scores)[-1]])[:, self.layout.num_prefix :]
        return ops.reshape(row, (-1, *grid))

    def _rows(self, scores):
        """Return `(B, N)`: the mean over the heads of the rows that ask."""
        return ops.mean(ops.mean(scores[:, :, self.asking], axis=1), axis=1)

    def _rollout(self, sa_scores, ca_scores, num_tokens):
        row = _class_stage(ca_scores)[:, 1:] if self.stage == "ca" else self._start(num_tokens)
        for key in reversed(block_keys(sa_scores)):
            # Half residual, half attention, whose rows are probabilities.
            attention = ops.mean(sa_scores[key], axis=1)
            row = (row + ops.matmul(row[:, None], attention)[:, 0]) / 2
        return row[:, self.patches.num_prefix :]

    def _start(self, num_tokens):
        """Return `(1, N)`: equal shares of the tokens that ask."""
        places = ops.arange(num_tokens, dtype="int32")
        asks = places >= self.asking.start
        if self.asking.stop is not None:
            asks = ops.logical_and(asks, places < self.asking.stop)
        shares = ops.cast(asks, "float32")
        return (shares / ops.sum(shares))[None]


def _class_stage(ca_scores: Mapping[str, Any]):
    """Return what `kerasvit.saliency.methods.rollout.class_stage_row` does: `(B, 1 + P)`."""
    row = None
    for key in block_keys(ca_scores):
        attention = ops.mean(ca_scores[key], axis=1)[:, 0]
        class_share, patches = attention[:, :1], attention[:, 1:]
        if row is None:
            row = ops.concatenate([1 + class_share, patches], axis=1) / 2
        else:
            kept = row * (1 + class_share)
            row = ops.concatenate([kept[:, :1], kept[:, 1:] + patches], axis=1) / 2
    return row
