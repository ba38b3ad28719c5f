"""Blocks that do things side by side: attention beside the MLP, or several of each."""

import keras
from keras import ops

from kerasvit.errors import UsageError
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.blocks.encoder import EncoderBlock


@keras.saving.register_keras_serializable(PACKAGE)
class ParallelBlock(EncoderBlock):
    """A block whose attention and MLP read the same normalised tokens and are added together.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`. With differential attention both branches
            share one output bias, the attention's.

    Call arguments:
        tokens, score_rows, score_tap, token_tap, training, **places: see `EncoderBlock`; the token
            tap acts on what both branches read.

    Returns:
        tokens: `(B, N, D)`.
        scores: see `SelfAttention`.

    Source: Dehghani et al. 2023, section 2 (https://arxiv.org/abs/2302.05442); reference
    timm/models/vision_transformer.py `ParallelScalingBlock`, `DiffParallelScalingBlock`.
    """

    def _make_sublayers(self):
        self.attention_norm = self._norm("attention_norm")
        self.attention = self._make_attention("attention")
        shares_bias = self.initial_lambda is not None
        self.mlp = self._make_mlp("mlp", use_output_bias=False if shares_bias else None)
        if self.layer_scale_init_value is not None:
            self.attention_scale = self._layer_scale("attention_scale")
        self.attention_drop = self._drop("attention_drop")

    def call(
        self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None, **places
    ):
        """Apply both branches to the same tokens."""
        inputs = self.attention_inputs(tokens, token_tap)
        outputs, scores = self.attention(
            inputs, score_rows=score_rows, score_tap=score_tap, training=training, **places
        )
        outputs = outputs + self.mlp(inputs, training=training)
        return tokens + self._attention_branch(outputs, training), scores


@keras.saving.register_keras_serializable(PACKAGE)
class BranchedBlock(EncoderBlock):
    """Several attentions side by side, then several MLPs side by side, each with its own norm.

    Args:
        num_heads: int. Number of heads of each attention; must divide the token width.
        mlp_dim: int. Width of each MLP.
        num_branches: int. How many of each.
        **kwargs: the further arguments of `EncoderBlock`.

    Call arguments:
        tokens, score_rows, training, **places: see `EncoderBlock`.
        score_tap: as in `SelfAttention`, for the heads of all branches.
        token_tap: must be None: each attention reads tokens of its own.

    Returns:
        tokens: `(B, N, D)`.
        scores: as of `SelfAttention`, with `num_branches * num_heads` heads, branch by branch.

    Raises:
        ValueError: if a token tap is given.

    Source: Touvron et al. 2022, section 3 (https://arxiv.org/abs/2203.09795); reference
    timm/models/vision_transformer.py `ParallelThingsBlock`.
    """

    def __init__(self, num_heads: int, mlp_dim: int, num_branches: int = 2, **kwargs):
        self.num_branches = num_branches
        super().__init__(num_heads, mlp_dim, **kwargs)

    @property
    def num_score_heads(self) -> int:
        """Length of the head axis of the scores."""
        return self.num_branches * self.num_heads

    def _make_sublayers(self):
        for branch in range(self.num_branches):
            self._make_branch(branch)

    def _make_branch(self, branch: int):
        for kind, make in (("attention", self._make_attention), ("mlp", self._make_mlp)):
            self._set(f"{kind}_norm_{branch}", self._norm)
            self._set(f"{kind}_{branch}", make)
            if self._scales(kind):
                self._set(f"{kind}_scale_{branch}", self._layer_scale)
            self._set(f"{kind}_drop_{branch}", self._drop)

    def _set(self, name, make):
        setattr(self, name, make(name))

    def attention_inputs(self, tokens, token_tap=None):
        """Refuse: there is no one thing that the attentions read."""
        raise UsageError(
            "Each attention of a BranchedBlock reads normalised tokens of its own, so there are no "
            f"tokens to tap or read. Received: {self.name!r}. Use its scores or its output instead."
        )

    def call(
        self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None, **places
    ):
        """Apply all attentions, then all MLPs."""
        if token_tap is not None:
            self.attention_inputs(tokens, token_tap)
        taps = [None] * self.num_branches
        if score_tap is not None:
            taps = ops.split(score_tap, self.num_branches, axis=1)
        results = [
            self._part("attention", branch)(
                self._part("attention_norm", branch)(tokens),
                score_rows=score_rows,
                score_tap=taps[branch],
                training=training,
                **places,
            )
            for branch in range(self.num_branches)
        ]
        tokens = tokens + self._summed("attention", [one for one, _ in results], training)
        outputs = [
            self._part("mlp", branch)(self._part("mlp_norm", branch)(tokens), training=training)
            for branch in range(self.num_branches)
        ]
        tokens = tokens + self._summed("mlp", outputs, training)
        scores = [one for _, one in results if one is not None]
        return tokens, ops.concatenate(scores, axis=1) if scores else None

    def _part(self, kind: str, branch: int):
        return getattr(self, f"{kind}_{branch}")

    def _summed(self, kind, outputs, training):
        if self._scales(kind):
            outputs = [self._part(f"{kind}_scale", i)(one) for i, one in enumerate(outputs)]
        return sum(
            self._part(f"{kind}_drop", i)(one, training=training) for i, one in enumerate(outputs)
        )
