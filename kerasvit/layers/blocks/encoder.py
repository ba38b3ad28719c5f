"""ViT's block, and the same with its norms after the branches."""

import keras
from keras import ops

from kerasvit.layers.attention.differential import DifferentialAttention
from kerasvit.layers.attention.self_attention import SelfAttention
from kerasvit.layers.base import PACKAGE
from kerasvit.layers.blocks.frame import Block


@keras.saving.register_keras_serializable(PACKAGE)
class EncoderBlock(Block):
    """ViT's block: self-attention, then an MLP; LayerScale and stochastic depth on request.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        use_projection_bias: bool. Whether the attention's projection and the MLP have biases.
        mlp_type: "mlp" or "gated".
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        norm_type: "layer" or "rms", of all norms of the block.
        layer_scale_init_value: float or None. Start of LayerScale's factors; None for none.
        use_mlp_layer_scale: bool. Whether it acts on the MLP's branch too.
        layer_norm_epsilon: float. Defaults to 1e-6, the ViT papers' value, not Keras' 1e-3.
        dropout_rate: float in [0, 1), after the attention's projection and in the MLP.
        attention_dropout_rate: float in [0, 1), on the attention scores.
        drop_path_rate: float in [0, 1), rate of stochastic depth of both branches.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.
        use_sub_norm: bool. Whether both branches are normalised before their last projection.
        use_mlp_sub_norm: bool. Whether the MLP's branch alone is.
        use_key_bias, num_key_value_heads, relative_grid: see `SelfAttention`.
        initial_lambda: float or None. Makes the attention a differential one that starts from this
            lambda; None for ordinary self-attention.

    Call arguments:
        tokens: float tensor `(B, N, D)`.
        score_rows, score_tap: see `SelfAttention`.
        token_tap: tensor `(B, N, D)` added to the normalised tokens that the attention reads, or
            None. The gradient of zeros here is the gradient of those tokens.
        training: bool or None, as in Keras.
        **places: where the patches are, `rotation` and `grid`, see `SelfAttention`.

    Returns:
        tokens: `(B, N, D)`.
        scores: see `SelfAttention`.

    Source: Dosovitskiy et al. 2021, equations 2 and 3 (https://arxiv.org/abs/2010.11929).
    """

    def __init__(
        self,
        num_heads: int,
        mlp_dim: int,
        use_qk_norm: bool = False,
        use_sub_norm: bool = False,
        use_mlp_sub_norm: bool = False,
        use_key_bias: bool = True,
        num_key_value_heads: int | None = None,
        initial_lambda: float | None = None,
        relative_grid: tuple[int, int] | None = None,
        **kwargs,
    ):
        self.use_qk_norm = use_qk_norm
        self.use_sub_norm = use_sub_norm
        self.use_mlp_sub_norm = use_mlp_sub_norm
        self.use_key_bias = use_key_bias
        self.num_key_value_heads = num_key_value_heads
        self.initial_lambda = initial_lambda
        self.relative_grid = None if relative_grid is None else tuple(relative_grid)
        super().__init__(num_heads, mlp_dim, **kwargs)

    def _make_attention(self, name):
        arguments = {
            **self._attention_arguments(name),
            "use_qk_norm": self.use_qk_norm,
            "use_sub_norm": self.use_sub_norm,
            "use_key_bias": self.use_key_bias,
            "num_key_value_heads": self.num_key_value_heads,
            "relative_grid": self.relative_grid,
            "norm_type": self.norm_type,
            "layer_norm_epsilon": self.layer_norm_epsilon,
        }
        if self.initial_lambda is None:
            return SelfAttention(**arguments)
        return DifferentialAttention(initial_lambda=self.initial_lambda, **arguments)

    def _make_mlp(self, name, **kwargs):
        use_sub_norm = self.use_sub_norm or self.use_mlp_sub_norm
        return super()._make_mlp(name, use_sub_norm=use_sub_norm, **kwargs)

    def call(
        self, tokens, score_rows=None, score_tap=None, token_tap=None, training=None, **places
    ):
        """Apply both branches."""
        outputs, scores = self.attention(
            self.attention_inputs(tokens, token_tap),
            score_rows=score_rows,
            score_tap=score_tap,
            training=training,
            **places,
        )
        tokens = tokens + self._attention_branch(outputs, training)
        return tokens + self._mlp_branch(tokens, training), scores


@keras.saving.register_keras_serializable(PACKAGE)
class PostNormBlock(EncoderBlock):
    """A block whose branches are normalised at their end, before they are added.

    Args:
        num_heads: int. Number of attention heads; must divide the token width.
        mlp_dim: int. Width of the MLP.
        **kwargs: the further arguments of `EncoderBlock`. There is no LayerScale here:
            `layer_scale_init_value` is what the gains of both norms start from instead.

    Call arguments:
        tokens, score_rows, score_tap, token_tap, training, **places: see `EncoderBlock`; the
            attention reads the tokens as they are.

    Returns:
        tokens: `(B, N, D)`.
        scores: see `SelfAttention`.

    Source: Liu et al. 2022, section 3.2 (https://arxiv.org/abs/2111.09883); reference
    timm/models/vision_transformer.py `ResPostBlock`.
    """

    def _make_sublayers(self):
        self.attention = self._make_attention("attention")
        self.attention_norm = self._norm("attention_norm")
        self.mlp = self._make_mlp("mlp")
        self.mlp_norm = self._norm("mlp_norm")
        self.attention_drop = self._drop("attention_drop")
        self.mlp_drop = self._drop("mlp_drop")

    def build(self, input_shape):
        """Create the weights of every sublayer, and start the gains of both norms."""
        super().build(input_shape)
        if self.layer_scale_init_value is not None:
            for norm in (self.attention_norm, self.mlp_norm):
                gains = norm.weights[0]
                gains.assign(ops.full(gains.shape, self.layer_scale_init_value))

    def attention_inputs(self, tokens, token_tap=None):
        """Return what the attention reads: the tokens, plus the tap if there is one."""
        return tokens if token_tap is None else tokens + token_tap

    def _attention_branch(self, outputs, training):
        return self.attention_drop(self.attention_norm(outputs), training=training)

    def _mlp_branch(self, tokens, training):
        outputs = self.mlp_norm(self.mlp(tokens, training=training))
        return self.mlp_drop(outputs, training=training)
