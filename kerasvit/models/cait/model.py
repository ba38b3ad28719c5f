"""CaiT: self-attention among the patches, then class attention that reads them out."""

from typing import Any

import keras
from keras import ops

from kerasvit.layers import (
    ClassAttentionBlock,
    LayerScaleBlock,
    PatchEmbedding,
    PositionEmbedding,
)
from kerasvit.layers.base import PACKAGE
from kerasvit.models import forms
from kerasvit.models.arguments import Converted
from kerasvit.models.cait.class_attention import ClassAttentionModel
from kerasvit.models.forms import Blocks, ImageShape, PatchSize, Pooling, Record
from kerasvit.models.taps import NO_TAPS, Taps


@keras.saving.register_keras_serializable(PACKAGE)
class CaiT(ClassAttentionModel):
    """CaiT that returns logits, self-attention scores and class-attention scores.

    Stochastic depth has one rate in all self-attention blocks and is absent in the class-attention
    blocks; the position embedding has no place for the class token, which joins after the
    self-attention blocks.

    Args:
        image_shape: `(height, width, channels)` that the position embedding is stored for. Images
            of any other size that the patch size divides are accepted: the embedding is resampled.
        patch_size: int or `(height, width)` in pixels.
        num_classes: int. 0 for no head: the first output is then what the head would read.
        hidden_dim: int. Token width D.
        num_layers: int. Number of self-attention blocks.
        num_class_layers: int. Number of class-attention blocks.
        num_heads: int. Attention heads H of a block; must divide `hidden_dim`.
        mlp_dim: int. Width of the MLPs.
        pooling: what the head reads after the last norm: "class", the class token `(B, D)`;
            "average" (or "avg"), the mean of the patch tokens, which class attention does not
            change; "none", every token, `(B, 1 + P, D)`, the class token first.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        layer_scale_init_value: float. 1e-5; 1e-6 in S36, M36 and M48.
        layer_norm_epsilon: float.
        dropout_rate: float in [0, 1), after position embedding, projections and MLP layers of the
            self-attention stage.
        attention_dropout_rate: float in [0, 1), on the scores of the self-attention stage.
        drop_path_rate: float in [0, 1), stochastic depth of every self-attention block.
        position_resampling: rule for other image sizes, see
            `kerasvit.layers.position_resampling.resampling_matrix`.
        scores_before_mixing: bool. Whether the self-attention scores returned are the softmax
            before the second head mixing, whose rows sum to 1, instead of the mixed scores after
            it, which weigh the values and may be negative.
        attention: "full" returns all scores; "cls" the class-attention scores alone, since the
            self-attention stage has no class token; "none" no scores.
        attention_blocks: numbers of the self-attention blocks whose scores are returned; None for
            all.
        record: dict, JSON-able: where the weights come from, their preprocessing and class names.
            It travels with the saved model.

    Call arguments:
        images: float tensor `(B, height, width, channels)`, normalised as the weights want it.
        training: bool or None, as in Keras.

    Returns:
        logits: `(B, num_classes)`, no softmax; `(B, 1 + P, num_classes)` with `pooling="none"`.
        sa_scores: dict of `sa_ffn_block_00_att` and so on: `(B, H, P, P)`.
        ca_scores: dict of `ca_ffn_block_00_att` and so on: `(B, H, 1, 1 + P)`, softmax
            probabilities before dropout.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Touvron et al. 2021 (https://arxiv.org/abs/2103.17239); reference timm/models/cait.py.
    """

    image_shape: ImageShape = Converted((224, 224, 3), forms.shape)
    patch_size: PatchSize = Converted(16, forms.pair)
    num_classes: int = 1000
    hidden_dim: int = 192
    num_layers: int = 24
    num_class_layers: int = 2
    num_heads: int = 4
    mlp_dim: int = 768
    pooling: Pooling = Converted("class", forms.pooling)
    use_qkv_bias: bool = True
    activation: str = "gelu"
    layer_scale_init_value: float = 1e-5
    layer_norm_epsilon: float = 1e-6
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    drop_path_rate: float = 0.0
    position_resampling: str = "bicubic_antialias"
    scores_before_mixing: bool = False
    attention: str = "full"
    attention_blocks: Blocks = Converted(None, forms.blocks)
    record: Record = Converted(None, forms.record)

    family = "cait"
    view_arguments = ("scores_before_mixing",)

    def _make_embedding(self) -> dict[str, keras.layers.Layer]:
        dtype = self.dtype_policy
        patch_embedding = PatchEmbedding(
            self.hidden_dim, self.patch_size, name="patch_embedding", dtype=dtype
        )
        grid = patch_embedding.grid(*self.image_shape[:2])
        position = PositionEmbedding(
            grid, 0, self.position_resampling, name="position_embedding", dtype=dtype
        )
        return {"patch_embedding": patch_embedding, "position": position}

    def _make_patch_block(self, index: int) -> LayerScaleBlock:
        return self._make_block(
            LayerScaleBlock,
            f"sa_ffn_block_{index:02d}",
            dropout_rate=self.dropout_rate,
            attention_dropout_rate=self.attention_dropout_rate,
            drop_path_rate=self.drop_path_rate,
        )

    def _make_class_block(self, name: str) -> ClassAttentionBlock:
        return self._make_block(ClassAttentionBlock, name)

    def _embed(self, images, training):
        return self.patch_embedding(images)

    def _block_arguments(self, grid) -> dict[str, Any]:
        return {"scores_before_mixing": self.scores_before_mixing}

    def _forward(self, images, training, taps: Taps = NO_TAPS):
        patches, sa_scores = self._encode_patches(images, training, taps)
        class_token, ca_scores = self._attend_to_patches(patches, training, taps)
        read = {"class": (class_token,), "average": (patches,), "none": (class_token, patches)}
        return self.read_out(*read[self.pooling]), sa_scores, ca_scores

    def read_out(self, *tokens):
        """Return the logits of a block's output, as if it were the last block's.

        Args:
            *tokens: output of a class-attention block, `(B, 1, D)`; of a self-attention block,
                `(B, P, D)`, with `pooling="average"`; both of them with `pooling="none"`.
        """
        features = self.norm(_joined(tokens))
        if self.pooling == "class":
            features = features[:, 0]
        elif self.pooling == "average":
            features = ops.mean(features, axis=1)
        return self.head(features) if self.num_classes else features

    def forward_features(self, images, training=None):
        """Return the tokens after the last norm, `(B, 1 + P, D)`, the class token first."""
        patches, _ = self._encode_patches(images, training)
        class_token, _ = self._attend_to_patches(patches, training)
        return self.norm(_joined((class_token, patches)))

    def _attend_to_patches(self, patches, training, taps: Taps = NO_TAPS):
        rows = 0 if self.returned_scores == "none" else None
        class_token = self.class_token.broadcast(patches)
        scores = {}
        for block in self.class_blocks:
            arguments = taps.arguments(block, rows)
            output, block_scores = block(class_token, patches, training=training, **arguments)
            class_token = taps.read(block, (class_token, patches), output, block_scores)
            if block_scores is not None:
                scores[f"{block.name}_att"] = block_scores
        return class_token, scores


def _joined(tokens):
    return tokens[0] if len(tokens) == 1 else ops.concatenate(tokens, axis=1)
