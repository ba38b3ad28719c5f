"""XCiT: channels attend to channels among the patches, then class attention reads them out."""

from typing import Any

import keras
from keras import ops

from kerasvit.layers import (
    ConvolutionalStem,
    CrossCovarianceBlock,
    FourierPositions,
    XCiTClassBlock,
)
from kerasvit.layers.base import PACKAGE, head_dim
from kerasvit.layout import BlockKey, ChannelLayout, TokenLayout
from kerasvit.models import forms
from kerasvit.models.arguments import Converted
from kerasvit.models.cait.class_attention import ClassAttentionModel
from kerasvit.models.forms import Blocks, ImageShape, PatchSize, Pooling, Record
from kerasvit.models.taps import NO_TAPS, Taps


@keras.saving.register_keras_serializable(PACKAGE)
class XCiT(ClassAttentionModel):
    """XCiT that returns logits, channel-attention scores and class-attention scores.

    Its blocks attend among channels, so that their cost grows with the tokens and not with their
    square; those scores say nothing of places. The maps of a picture are those of class attention,
    which stay whole for pictures of any size.

    Args:
        image_shape: `(height, width, channels)`. Images of any other size that the patch size
            divides are accepted: positions are fractions of the image's sides.
        patch_size: int or `(height, width)` in pixels: 16 or 8 in the paper; any power of two.
        num_classes: int. 0 for no head: the first output is then what the head would read.
        hidden_dim: int. Token width D.
        num_layers: int. Number of blocks with channel attention.
        num_class_layers: int. Number of class-attention blocks.
        num_heads: int. Attention heads H of a block; must divide `hidden_dim`.
        mlp_dim: int. Width of the MLPs.
        pooling: what the head reads after the last norm: "class", the class token `(B, D)`;
            "average" (or "avg"), the mean of the patch tokens, which take nothing from the class
            token; "none", every token, `(B, 1 + P, D)`, the class token first.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        use_tokens_norm: bool. Whether the second norm of a class-attention block acts on the
            patches too; False in the nano size alone.
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        layer_scale_init_value: float. 1 in models of 12 blocks, 1e-5 in those of 24.
        layer_norm_epsilon: float. Of the layer norms; batch norms have 1e-5.
        dropout_rate: float in [0, 1), after position encoding, projections and MLP layers.
        attention_dropout_rate: float in [0, 1), on the scores.
        drop_path_rate: float in [0, 1), stochastic depth of every block but the class-attention
            blocks, the same in each.
        attention: "full" returns all scores; "cls" the class-attention scores alone; "none" no
            scores.
        attention_blocks: numbers of the channel-attention blocks whose scores are returned; None
            for all.
        record: dict, JSON-able: where the weights come from, their preprocessing and class names.
            It travels with the saved model.

    Call arguments:
        images: float tensor `(B, height, width, channels)`, normalised as the weights want it.
        training: bool or None, as in Keras. Batch norms then take the batch's statistics.

    Returns:
        logits: `(B, num_classes)`, no softmax; `(B, 1 + P, num_classes)` with `pooling="none"`.
        sa_scores: dict of `xca_ffn_block_00_att` and so on: `(B, H, d, d)` with `d = D / H`, the
            scores among channels, softmax probabilities before dropout.
        ca_scores: dict of `ca_ffn_block_00_att` and so on: `(B, H, 1, 1 + P)`, softmax
            probabilities before dropout.

    Raises:
        ValueError: if an argument is out of its range.

    Source: El-Nouby et al. 2021 (https://arxiv.org/abs/2106.09681); reference timm/models/xcit.py.
    """

    image_shape: ImageShape = Converted((224, 224, 3), forms.shape)
    patch_size: PatchSize = Converted(16, forms.pair)
    num_classes: int = 1000
    hidden_dim: int = 128
    num_layers: int = 12
    num_class_layers: int = 2
    num_heads: int = 4
    mlp_dim: int = 512
    pooling: Pooling = Converted("class", forms.pooling)
    use_qkv_bias: bool = True
    use_tokens_norm: bool = True
    activation: str = "gelu"
    layer_scale_init_value: float = 1.0
    layer_norm_epsilon: float = 1e-6
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    drop_path_rate: float = 0.0
    attention: str = "full"
    attention_blocks: Blocks = Converted(None, forms.blocks)
    record: Record = Converted(None, forms.record)

    family = "xcit"
    attends_to_channels = True
    has_position_table = False

    def _make_embedding(self) -> dict[str, keras.layers.Layer]:
        dtype = self.dtype_policy
        patch_embedding = ConvolutionalStem(
            self.hidden_dim, self.patch_size, self.activation, name="patch_embedding", dtype=dtype
        )
        position = FourierPositions(name="position_encoding", dtype=dtype)
        return {"patch_embedding": patch_embedding, "position": position}

    def _make_patch_block(self, index: int) -> CrossCovarianceBlock:
        return self._make_block(
            CrossCovarianceBlock,
            f"xca_ffn_block_{index:02d}",
            dropout_rate=self.dropout_rate,
            attention_dropout_rate=self.attention_dropout_rate,
            drop_path_rate=self.drop_path_rate,
        )

    def _make_class_block(self, name: str) -> XCiTClassBlock:
        return self._make_block(
            XCiTClassBlock,
            name,
            use_tokens_norm=self.use_tokens_norm,
            dropout_rate=self.dropout_rate,
            attention_dropout_rate=self.attention_dropout_rate,
        )

    def _embed(self, images, training):
        return self.patch_embedding(images, training=training)

    def _block_arguments(self, grid) -> dict[str, Any]:
        return {"grid": grid}

    @property
    def _plain_weight(self) -> keras.Variable:
        # A bias: low-rank adaptation makes a tensor of a kernel.
        return self.position.projection.bias

    def token_layout(
        self, image_shape: tuple[int, ...] | None = None, stage: str = "sa"
    ) -> TokenLayout:
        """Return what the axes of a stage's scores, or of its tokens, mean.

        Args:
            image_shape: as of every model.
            stage: "ca" for class attention; "xca" for the scores among channels, a
                `ChannelLayout`; "sa" for the tokens of the blocks before class attention.
        """
        if stage == "xca":
            return ChannelLayout(head_dim(self.hidden_dim, self.num_heads))
        return super().token_layout(image_shape, stage)

    def tap_shape(self, place: str, images_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the tensor at a place; see `ScoreModel.tap_shape`."""
        if not BlockKey.parse(place).is_of_channels:
            return super().tap_shape(place, images_shape)
        if place.endswith("_tokens"):
            length = self.token_layout(images_shape[1:3]).num_tokens
            return (images_shape[0], length, self.hidden_dim)
        dim = head_dim(self.hidden_dim, self.num_heads)
        return (images_shape[0], self.num_heads, dim, dim)

    def _forward(self, images, training, taps: Taps = NO_TAPS):
        patches, channel_scores = self._encode_patches(images, training, taps)
        tokens, ca_scores = self._attend_to_patches(patches, training, taps)
        return self.read_out(tokens), channel_scores, ca_scores

    def read_out(self, tokens):
        """Return the logits of a class-attention block's output, as if it were the last block's.

        Args:
            tokens: `(B, 1 + P, D)`.
        """
        if self.pooling == "class":
            features = self.norm(tokens[:, :1])[:, 0]
        elif self.pooling == "average":
            features = ops.mean(self.norm(tokens[:, 1:]), axis=1)
        else:
            features = self.norm(tokens)
        return self.head(features) if self.num_classes else features

    def forward_features(self, images, training=None):
        """Return the tokens after the last norm, `(B, 1 + P, D)`, the class token first."""
        patches, _ = self._encode_patches(images, training)
        tokens, _ = self._attend_to_patches(patches, training)
        return self.norm(tokens)

    def _attend_to_patches(self, patches, training, taps: Taps = NO_TAPS):
        rows = 0 if self.returned_scores == "none" else None
        tokens = self.class_token(patches)
        scores = {}
        for block in self.class_blocks:
            output, block_scores = block(tokens, training=training, **taps.arguments(block, rows))
            tokens = taps.read(block, (tokens,), output, block_scores)
            if block_scores is not None:
                scores[f"{block.name}_att"] = block_scores
        return tokens, scores
