"""The frame of every transformer block: norms, MLP, LayerScale and stochastic depth."""

import keras

from kerasvit.layers.attention.frame import Attention
from kerasvit.layers.base import ScoringLayer, require, require_rate, sublayers
from kerasvit.layers.mlp import MLP, GatedMLP
from kerasvit.layers.primitives.norms import make_norm
from kerasvit.layers.regularization import LayerScale, StochasticDepth

MLP_TYPES = {"mlp": MLP, "gated": GatedMLP}


class Block(ScoringLayer):
    """Attention and MLP, each normalised before and added to its input.

    Subclasses choose the attention, and where they differ the order of things. `EncoderBlock` says
    what the arguments mean.
    """

    # Of the tokens; what `summary` prints of a layer that returns scores too.
    output_shape: tuple[int | None, ...]

    attention: Attention
    attention_norm: keras.layers.Layer
    attention_scale: LayerScale
    attention_drop: StochasticDepth
    mlp: MLP
    mlp_norm: keras.layers.Layer
    mlp_scale: LayerScale
    mlp_drop: StochasticDepth

    def __init__(
        self,
        num_heads: int,
        mlp_dim: int,
        use_qkv_bias: bool = True,
        use_projection_bias: bool = True,
        mlp_type: str = "mlp",
        activation: str = "gelu",
        norm_type: str = "layer",
        layer_scale_init_value: float | None = None,
        use_mlp_layer_scale: bool = True,
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
        self.use_projection_bias = use_projection_bias
        self.mlp_type = mlp_type
        self.activation = activation
        self.norm_type = norm_type
        self.layer_scale_init_value = layer_scale_init_value
        self.use_mlp_layer_scale = use_mlp_layer_scale
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout_rate = dropout_rate
        self.attention_dropout_rate = attention_dropout_rate
        self.drop_path_rate = require_rate("drop_path_rate", drop_path_rate)
        self._make_sublayers()

    def _make_sublayers(self):
        self.attention_norm = self._norm("attention_norm")
        self.attention = self._make_attention("attention")
        self.mlp_norm = self._norm("mlp_norm")
        self.mlp = self._make_mlp("mlp")
        for kind in ("attention", "mlp"):
            if self._scales(kind):
                setattr(self, f"{kind}_scale", self._layer_scale(f"{kind}_scale"))
        self.attention_drop = self._drop("attention_drop")
        self.mlp_drop = self._drop("mlp_drop")

    def _scales(self, kind: str) -> bool:
        """Tell whether LayerScale acts on the branches of a kind, "attention" or "mlp"."""
        is_scaled = kind == "attention" or self.use_mlp_layer_scale
        return self.layer_scale_init_value is not None and is_scaled

    def _norm(self, name):
        return make_norm(self.norm_type, self.layer_norm_epsilon, name, self.dtype_policy)

    def _make_attention(self, name):
        raise NotImplementedError

    def _attention_arguments(self, name):
        return {
            "num_heads": self.num_heads,
            "use_qkv_bias": self.use_qkv_bias,
            "use_projection_bias": self.use_projection_bias,
            "attention_dropout_rate": self.attention_dropout_rate,
            "dropout_rate": self.dropout_rate,
            "name": name,
            "dtype": self.dtype_policy,
        }

    def _make_mlp(self, name, **kwargs):
        return MLP_TYPES[self.mlp_type](
            self.mlp_dim,
            activation=self.activation,
            dropout_rate=self.dropout_rate,
            use_bias=self.use_projection_bias,
            norm_type=self.norm_type,
            layer_norm_epsilon=self.layer_norm_epsilon,
            name=name,
            dtype=self.dtype_policy,
            **kwargs,
        )

    def _layer_scale(self, name):
        return LayerScale(self.layer_scale_init_value, name=name, dtype=self.dtype_policy)

    def _drop(self, name):
        return StochasticDepth(self.drop_path_rate, name=name, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Create the weights of every sublayer."""
        for layer in sublayers(self):
            layer.build(input_shape)
        self.output_shape = tuple(input_shape)
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
        if self._scales("mlp"):
            outputs = self.mlp_scale(outputs)
        return self.mlp_drop(outputs, training=training)
