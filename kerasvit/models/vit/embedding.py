"""From images to the tokens that a ViT's first block reads, and where they are."""

from typing import Any

from kerasvit.layers import LearnedTokens, PatchEmbedding, PositionEmbedding, RotaryEmbedding
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.models.vit.family import ViTFacts


class TokenEmbedding(ViTFacts):
    """The part of a `VisionTransformer` before its blocks."""

    use_patch_norm: bool
    use_pre_norm: bool
    num_layers: int

    patch_embedding: PatchEmbedding
    position: PositionEmbedding
    position_dropout: Dropout
    rotary: RotaryEmbedding
    patch_norm: Any
    pre_norm: Any
    class_token: LearnedTokens
    distillation_token: LearnedTokens
    registers: LearnedTokens

    def _embed(self, images, grid, training):
        """Return the tokens `(B, N, D)` of images with this grid of patches."""
        tokens = self.patch_embedding(images)
        if self.use_patch_norm:
            tokens = self.patch_norm(tokens)
        if self.position_embedding == "all":
            tokens = self.position(self._add_prefix(tokens), grid=grid)
        elif self.position_embedding == "patches":
            tokens = self._add_prefix(self.position(tokens, grid=grid))
        else:
            tokens = self._add_prefix(tokens)
        tokens = self.position_dropout(tokens, training=training)
        return self.pre_norm(tokens) if self.use_pre_norm else tokens

    def _add_prefix(self, tokens):
        if self.num_registers:
            tokens = self.registers(tokens)
        if self.use_distillation_token:
            tokens = self.distillation_token(tokens)
        return self.class_token(tokens) if self.use_class_token else tokens

    def _places(self, grid) -> list[dict[str, Any]]:
        """Return the call arguments that say where the patches are, for each block."""
        places = {"grid": grid} if self.use_relative_position_bias else {}
        if self.rope_type is None:
            return [places] * self.num_layers
        rotations = self.rotary.rotations(grid, len(self._prefix("sa")))
        return [{**places, "rotation": rotation} for rotation in rotations]

    @property
    def _plain_weight(self):
        """A weight of a layer with the model's own dtype policy, at hand without a search."""
        if self.has_position_table:
            return self.position.embedding
        if self.use_class_token:
            return self.class_token.tokens
        return self.registers.tokens if self.num_registers else self.patch_embedding.weights[0]
