"""Vision Transformer: ViT, DeiT, DeiT III, DINO and DINOv2 by its arguments."""

from typing import Any

import keras
from keras import ops

from kerasvit.layers import EncoderBlock, LearnedTokens, PatchEmbedding, PositionEmbedding
from kerasvit.layers.base import PACKAGE, kernel_initializer, require, require_at_least
from kerasvit.models.base import ScoreModel
from kerasvit.models.taps import NO_TAPS, Taps

POOLINGS = ("class", "average")
POSITIONS = ("all", "patches")
DISTILLATION_OUTPUTS = ("average", "both")


@keras.saving.register_keras_serializable(PACKAGE)
class VisionTransformer(ScoreModel):
    """Vision Transformer that returns logits and the scores of every self-attention block.

    DeiT is the same model; distilled DeiT has `use_distillation_token`; DeiT III has LayerScale and
    `position_embedding="patches"`; DINO has `num_classes=0`; DINOv2 has LayerScale and, in the
    giant, a gated MLP, and `num_registers` where it has registers.

    Args:
        image_shape: `(height, width, channels)` that the position embedding is stored for. Images
            of any other size that the patch size divides are accepted: the embedding is resampled.
        patch_size: int or `(height, width)` in pixels.
        num_classes: int. 0 for no head: the first output is then the pooled feature `(B, D)`.
        hidden_dim: int. Token width D.
        num_layers: int. Number of blocks.
        num_heads: int. Attention heads H of a block; must divide `hidden_dim`.
        mlp_dim: int. Width of the MLPs.
        pooling: "class" (the class token) or "average" (the mean of the patch tokens).
        use_distillation_token: bool. Adds a second token and a second head.
        distillation_output: "average" of the two heads' logits, or "both": logits `(B, 2, K)`,
            class head first.
        num_registers: int. Register tokens after the class token.
        position_embedding: "all" tokens have one, or the "patches" alone.
        position_resampling: rule for other image sizes, see
            `kerasvit.layers.resampling.resampling_matrix`.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.
        use_pre_norm: bool. Whether the tokens are normalised before the first block, as in CLIP.
        norm_after_pooling: bool or None. Whether the last norm acts on the pooled feature instead
            of the tokens; None for "average" pooling alone.
        mlp_type: "mlp" or "gated".
        activation: str. See `kerasvit.layers.activations.activation_function`.
        layer_scale_init_value: float or None. Start of LayerScale's factors; None for none.
        layer_norm_epsilon: float.
        dropout_rate: float in [0, 1), after position embedding, projections and MLP layers.
        attention_dropout_rate: float in [0, 1), on the attention scores.
        drop_path_rate: float in [0, 1), stochastic depth of the last block; it grows linearly from
            0 in the first.
        attention: "full" returns `(B, H, N, N)` a block; "cls" the rows of the class token,
            `(B, H, 1, N)` (distilled: `(B, H, 2, N)`), in memory that does not grow with the square
            of N; "none" returns no scores.
        attention_blocks: numbers of the blocks whose scores are returned; None for all.
        record: dict, JSON-able: where the weights come from, their preprocessing and class names.
            It travels with the saved model.

    Call arguments:
        images: float tensor `(B, height, width, channels)`, normalised as the weights want it.
        training: bool or None, as in Keras.

    Returns:
        logits: `(B, num_classes)`, no softmax.
        sa_scores: dict of `sa_ffn_block_00_att` and so on, in block order; softmax probabilities
            before dropout.
        ca_scores: `{}`: a ViT has no class attention.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929); DeiT: 2012.12877; DeiT III:
    2204.07118; DINO: 2104.14294; DINOv2: 2304.07193; registers: 2309.16588.
    """

    arguments = (
        *ScoreModel.arguments,
        "pooling",
        "use_distillation_token",
        "distillation_output",
        "num_registers",
        "position_embedding",
        "position_resampling",
        "use_qkv_bias",
        "use_qk_norm",
        "use_pre_norm",
        "norm_after_pooling",
        "mlp_type",
        "activation",
        "layer_scale_init_value",
        "layer_norm_epsilon",
        "dropout_rate",
        "attention_dropout_rate",
        "drop_path_rate",
    )
    view_arguments = ("distillation_output",)

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (224, 224, 3),
        patch_size: int | tuple[int, int] = 16,
        num_classes: int = 1000,
        hidden_dim: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_dim: int = 3072,
        pooling: str = "class",
        use_distillation_token: bool = False,
        distillation_output: str = "average",
        num_registers: int = 0,
        position_embedding: str = "all",
        position_resampling: str = "bicubic_antialias",
        use_qkv_bias: bool = True,
        use_qk_norm: bool = False,
        use_pre_norm: bool = False,
        norm_after_pooling: bool | None = None,
        mlp_type: str = "mlp",
        activation: str = "gelu",
        layer_scale_init_value: float | None = None,
        layer_norm_epsilon: float = 1e-6,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        attention: str = "full",
        attention_blocks: list[int] | None = None,
        record: dict[str, Any] | None = None,
        _shared_layers: dict | None = None,
        **kwargs,
    ):
        _check_choice("pooling", pooling, POOLINGS)
        _check_choice("position_embedding", position_embedding, POSITIONS)
        _check_choice("distillation_output", distillation_output, DISTILLATION_OUTPUTS)
        require_at_least(0, num_registers=num_registers)
        require(
            use_distillation_token or distillation_output == "average",
            'distillation_output="both" needs the second head of use_distillation_token=True. '
            f"Received: use_distillation_token={use_distillation_token!r}",
        )
        require(
            not use_distillation_token or (pooling == "class" and not norm_after_pooling),
            "A distilled model has a head for each of its two tokens and pools nothing: leave "
            'pooling="class" and norm_after_pooling=None. '
            f"Received: pooling={pooling!r}, norm_after_pooling={norm_after_pooling!r}",
        )
        self._start(locals(), _shared_layers, kwargs)

    def _make_layers(self) -> dict[str, keras.layers.Layer]:
        dtype = self.dtype_policy
        patch_embedding = PatchEmbedding(
            self.hidden_dim,
            self.patch_size,
            use_bias=not self.use_pre_norm,
            name="patch_embedding",
            dtype=dtype,
        )
        layers = {
            "patch_embedding": patch_embedding,
            "class_token": LearnedTokens(1, name="class_token", dtype=dtype),
            "position": PositionEmbedding(
                patch_embedding.grid(*self.image_shape[:2]),
                len(self._prefix("sa")) if self.position_embedding == "all" else 0,
                self.position_resampling,
                name="position_embedding",
                dtype=dtype,
            ),
            "position_dropout": keras.layers.Dropout(
                self.dropout_rate, name="position_dropout", dtype=dtype
            ),
            "blocks": [self._make_block(index) for index in range(self.num_layers)],
            "norm": self._make_norm("norm"),
        }
        if self.use_distillation_token:
            layers["distillation_token"] = LearnedTokens(1, name="distillation_token", dtype=dtype)
        if self.num_registers:
            layers["registers"] = LearnedTokens(self.num_registers, name="registers", dtype=dtype)
        if self.use_pre_norm:
            layers["pre_norm"] = self._make_norm("pre_norm")
        if self.num_classes:
            layers["head"] = self._make_head("head")
            if self.use_distillation_token:
                layers["distillation_head"] = self._make_head("distillation_head")
        return layers

    def _make_block(self, index: int) -> EncoderBlock:
        return EncoderBlock(
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            use_qkv_bias=self.use_qkv_bias,
            use_qk_norm=self.use_qk_norm,
            mlp_type=self.mlp_type,
            activation=self.activation,
            layer_scale_init_value=self.layer_scale_init_value,
            layer_norm_epsilon=self.layer_norm_epsilon,
            dropout_rate=self.dropout_rate,
            attention_dropout_rate=self.attention_dropout_rate,
            drop_path_rate=self.drop_path_rate * index / max(self.num_layers - 1, 1),
            name=f"sa_ffn_block_{index:02d}",
            dtype=self.dtype_policy,
        )

    def _make_norm(self, name):
        return keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, name=name, dtype=self.dtype_policy
        )

    def _make_head(self, name):
        return keras.layers.Dense(
            self.num_classes,
            kernel_initializer=kernel_initializer(),
            name=name,
            dtype=self.dtype_policy,
        )

    def _prefix(self, stage: str) -> tuple[str, ...]:
        require(
            stage == "sa",
            f'A ViT has self-attention scores alone: stage="sa". Received: stage={stage!r}',
        )
        names = ("class", "distillation") if self.use_distillation_token else ("class",)
        return names + tuple(f"register_{index}" for index in range(self.num_registers))

    def call(self, images, training=None):
        """Return `(logits, sa_scores, ca_scores)`."""
        return self._forward(images, training)

    def _forward(self, images, training, taps: Taps = NO_TAPS):
        tokens, scores = self._encode(images, training, taps)
        return self._classify(tokens), scores, {}

    def read_out(self, tokens):
        """Return the logits of a block's output `(B, N, D)`, as if it were the last block's."""
        return self._classify(tokens if self._norms_after_pooling() else self.norm(tokens))

    def forward_features(self, images, training=None):
        """Return the tokens after the last norm, `(B, N, D)`, prefix tokens first."""
        return self._encode(images, training)[0]

    def _encode(self, images, training, taps: Taps = NO_TAPS):
        tokens = self._embed(images, training)
        rows = {"full": None, "cls": 1 + self.use_distillation_token, "none": 0}[self.attention]
        scores = {}
        for index, block in enumerate(self.blocks):
            arguments = taps.arguments(block, rows if self._wants_scores(index) else 0)
            output, block_scores = block(tokens, training=training, **arguments)
            tokens = taps.read(block, (tokens,), output, block_scores)
            if block_scores is not None:
                scores[f"{block.name}_att"] = block_scores
        return tokens if self._norms_after_pooling() else self.norm(tokens), scores

    def _embed(self, images, training):
        grid = self.patch_embedding.grid(*images.shape[1:3])
        tokens = self.patch_embedding(images)
        if self.position_embedding == "patches":
            tokens = self._add_prefix(self.position(tokens, grid=grid))
        else:
            tokens = self.position(self._add_prefix(tokens), grid=grid)
        tokens = self.position_dropout(tokens, training=training)
        return self.pre_norm(tokens) if self.use_pre_norm else tokens

    def _add_prefix(self, tokens):
        if self.num_registers:
            tokens = self.registers(tokens)
        if self.use_distillation_token:
            tokens = self.distillation_token(tokens)
        return self.class_token(tokens)

    def _norms_after_pooling(self) -> bool:
        if self.norm_after_pooling is None:
            return self.pooling == "average"
        return self.norm_after_pooling

    def _classify(self, tokens):
        if self.use_distillation_token:
            return self._classify_distilled(tokens)
        features = self._pool(tokens)
        if self._norms_after_pooling():
            features = self.norm(features)
        return self.head(features) if self.num_classes else features

    def _pool(self, tokens):
        if self.pooling == "class":
            return tokens[:, 0]
        return ops.mean(tokens[:, len(self._prefix("sa")) :], axis=1)

    def _classify_distilled(self, tokens):
        outputs = [tokens[:, 0], tokens[:, 1]]
        if self.num_classes:
            outputs = [self.head(outputs[0]), self.distillation_head(outputs[1])]
        if self.distillation_output == "both":
            return ops.stack(outputs, axis=1)
        return (outputs[0] + outputs[1]) / 2


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    require(value in choices, f"{name} must be one of {choices}. Received: {name}={value!r}")
