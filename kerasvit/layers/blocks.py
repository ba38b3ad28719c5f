"""Transformer blocks: attention and MLP, each normalised before and added to its input."""

import keras
from keras import ops

from kerasvit.layers.attention import ClassAttention, SelfAttention, TalkingHeadsAttention
from kerasvit.layers.base import PACKAGE, ConfiguredLayer, require, require_rate
from kerasvit.layers.mlp import MLP, GatedMLP
from kerasvit.layers.regularization import LayerScale, StochasticDepth

MLP_TYPES = {"mlp": MLP, "gated": GatedMLP}


class _Block(ConfiguredLayer):
    """The residual frame that all blocks share; subclasses choose the attention."""

    arguments = (
        "num_heads",
        "mlp_dim",
        "use_qkv_bias",
        "mlp_type",
        "activation",
        "layer_scale_init_value",
        "layer_norm_epsilon",
        "dropout_rate",
        "attention_dropout_rate",
        "drop_path_rate",
    )

    def __init__(
        self,
        num_heads: int,
        mlp_dim: int,
        use_qkv_bias: bool = True,
        mlp_type: str = "mlp",
        activation: str = "gelu",
        layer_scale_init_value: float | None = None,
        layer_norm_epsilon: float = 1e-6,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require(
            mlp_type in MLP_TYPES,
            f"mlp_type must be one of {list(MLP_TYPES)}. Received: {mlp_type!r}",
        )
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.use_qkv_bias = use_qkv_bias
        self.mlp_type = mlp_type
        self.activation = activation
        self.layer_scale_init_value = layer_scale_init_value
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout_rate = dropout_rate
        self.attention_dropout_rate = attention_dropout_rate
        self.drop_path_rate = require_rate("drop_path_rate", drop_path_rate)
        self._make_sublayers()

    def _make_sublayers(self):
        dtype = self.dtype_policy
        self.attention_norm = self._norm("attention_norm")
        self.attention = self._make_attention(name="attention", dtype=dtype)
        self.mlp_norm = self._norm("mlp_norm")
        self.mlp = MLP_TYPES[self.mlp_type](
            self.mlp_dim,
            activation=self.activation,
            dropout_rate=self.dropout_rate,
            name="mlp",
            dtype=dtype,
        )
        if self.layer_scale_init_value is not None:
            scale = self.layer_scale_init_value
            self.attention_scale = LayerScale(scale, name="attention_scale", dtype=dtype)
            self.mlp_scale = LayerScale(scale, name="mlp_scale", dtype=dtype)
        self.attention_drop = StochasticDepth(
            self.drop_path_rate, name="attention_drop", dtype=dtype
        )
        self.mlp_drop = StochasticDepth(self.drop_path_rate, name="mlp_drop", dtype=dtype)

    def _norm(self, name):
        return keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, name=name, dtype=self.dtype_policy
        )

    def _attention_arguments(self):
        return {
            "num_heads": self.num_heads,
            "use_qkv_bias": self.use_qkv_bias,
            "attention_dropout_rate": self.attention_dropout_rate,
            "dropout_rate": self.dropout_rate,
        }

    def build(self, input_shape):
        """Create the weights of every sublayer."""
        for layer in self._flatten_layers(include_self=False, recursive=False):
            layer.build(input_shape)
        self.built = True

    def attention_inputs(self, tokens, token_tap=None):
        """Return what the attention reads: the normalised tokens, plus the tap if there is one."""
        tokens = self.attention_norm(tokens)
        return tokens if token_tap is None else tokens + token_tap

    def _attention_branch(self, outputs, training):
        if self.layer_scale_init_value is not None:
            outputs = self.attention_scale(outputs)
        return self.attention_drop(outputs, training=training)

    def _mlp_branch(self, tokens, training):
        outputs = self.mlp(self.mlp_norm(tokens), training=training)
        if self.layer_scale_init_value is not None:
            outputs = self.mlp_scale(outputs)
        return self.mlp_drop(outputs, training=training)


@keras.saving.register_keras_serializable(PACKAGE)
class EncoderBlock(_Block):
    """ViT's block: self-attention, then an MLP; LayerScale and stochastic depth on request.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        mlp_type: "mlp" or "gated".
        activation: str. See `kerasvit.layers.activations.activation_function`.
        layer_scale_init_value: float or None. Start of LayerScale's factors; None for none.
        layer_norm_epsilon: float. Defaults to 1e-6, the ViT papers' value, not Keras' 1e-3.
        dropout_rate: float in [0, 1), after the attention's projection and in the MLP.
        attention_dropout_rate: float in [0, 1), on the attention scores.
        drop_path_rate: float in [0, 1), rate of stochastic depth of both branches.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows, score_tap: see `SelfAttention`.
        token_tap: tensor `(B, N, D)` added to the normalised tokens that the attention reads, or
            None. The gradient of zeros here is the gradient of those tokens.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, N, D)`.
        scores: see `SelfAttention`.

    Source: Dosovitskiy et al. 2021, equations 2 and 3 (https://arxiv.org/abs/2010.11929).
    """

    arguments = (*_Block.arguments, "use_qk_norm")

    def __init__(self, num_heads: int, mlp_dim: int, use_qk_norm: bool = False, **kwargs):
        self.use_qk_norm = use_qk_norm
        super().__init__(num_heads, mlp_dim, **kwargs)

    def _make_attention(self, **kwargs):
        return SelfAttention(
            **self._attention_arguments(),
            use_qk_norm=self.use_qk_norm,
            layer_norm_epsilon=self.layer_norm_epsilon,
            **kwargs,
        )

    def call(self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None):
        """Apply both branches."""
        outputs, scores = self.attention(
            self.attention_inputs(tokens, token_tap),
            score_rows=score_rows,
            score_tap=score_tap,
            training=training,
        )
        tokens = tokens + self._attention_branch(outputs, training)
        return tokens + self._mlp_branch(tokens, training), scores


@keras.saving.register_keras_serializable(PACKAGE)
class LayerScaleBlock(_Block):
    """CaiT's self-attention block: talking heads, LayerScale, no class token.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`, without `use_qk_norm`.

    Call arguments:
        tokens: float tensor `(B, P, D)`.
        score_rows, scores_before_mixing, score_tap: see `TalkingHeadsAttention`.
        token_tap: see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        tokens: `(B, P, D)`.
        scores: see `TalkingHeadsAttention`.

    Source: Touvron et al. 2021, section 2 (https://arxiv.org/abs/2103.17239).
    """

    def _make_attention(self, **kwargs):
        return TalkingHeadsAttention(**self._attention_arguments(), **kwargs)

    def call(
        self,
        tokens,
        score_rows=None,
        scores_before_mixing=False,
        score_tap=None,
        token_tap=None,
        training=None,
    ):
        """Apply both branches."""
        outputs, scores = self.attention(
            self.attention_inputs(tokens, token_tap),
            score_rows=score_rows,
            scores_before_mixing=scores_before_mixing,
            score_tap=score_tap,
            training=training,
        )
        tokens = tokens + self._attention_branch(outputs, training)
        return tokens + self._mlp_branch(tokens, training), scores


@keras.saving.register_keras_serializable(PACKAGE)
class ClassAttentionBlock(_Block):
    """CaiT's class-attention block: it updates the class token and leaves the patches alone.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`, without `use_qk_norm`.

    Call arguments:
        class_token: float tensor `(B, 1, D)`.
        patches: float tensor `(B, P, D)`.
        score_rows, score_tap: see `ClassAttention`.
        token_tap: tensor `(B, 1 + P, D)`, see `EncoderBlock`.
        training: bool or None, as in Keras.

    Returns:
        class_token: `(B, 1, D)`.
        scores: `(B, H, 1, 1 + P)`, see `ClassAttention`.

    Source: Touvron et al. 2021, section 3 (https://arxiv.org/abs/2103.17239).
    """

    def _make_attention(self, **kwargs):
        return ClassAttention(**self._attention_arguments(), **kwargs)

    def build(self, class_token_shape, patches_shape=None):
        """Create the weights of every sublayer."""
        super().build(class_token_shape)

    def attention_inputs(self, class_token, patches, token_tap=None):
        """Return what the attention reads, the class token first; see `EncoderBlock`."""
        return super().attention_inputs(ops.concatenate([class_token, patches], axis=1), token_tap)

    def call(
        self, class_token, patches, score_rows=None, score_tap=None, token_tap=None, training=None
    ):
        """Apply both branches to the class token."""
        outputs, scores = self.attention(
            self.attention_inputs(class_token, patches, token_tap),
            score_rows=score_rows,
            score_tap=score_tap,
            training=training,
        )
        class_token = class_token + self._attention_branch(outputs, training)
        return class_token + self._mlp_branch(class_token, training), scores
