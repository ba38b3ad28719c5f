"""From the last block's tokens to the logits of a ViT."""

from typing import Any

from kerasvit.models.taps import NO_TAPS, Taps
from kerasvit.models.vit.family import ViTFacts
from kerasvit.models.vit.readout import distilled_logits, linear_probe_feature, pool


class ReadOut(ViTFacts):
    """The part of a `VisionTransformer` after its blocks."""

    distillation_output: str
    head_interleaved: bool
    use_final_norm: bool
    returned_scores: str

    norm: Any
    head: Any

    def _classify(self, outputs, training=None, taps: Taps = NO_TAPS):
        if self.use_distillation_token:
            heads = self.heads() or (None, None)
            return distilled_logits(outputs[-1], heads, self.distillation_output), {}
        features, scores = self._pool(outputs, training, taps)
        if self.use_final_norm and self.normed_after_pooling:
            features = self.norm(features)
        return self.head(features) if self.num_classes else features, scores

    def _pool(self, outputs, training, taps):
        num_prefix = len(self._prefix("sa"))
        if self.reads_several_tokens:
            return linear_probe_feature(
                outputs, num_prefix, self.head_patch_mean, self.head_interleaved
            ), {}
        left_out = 0 if self.pool_prefix else num_prefix
        if self.pooling == "attention":
            return self._pool_by_attention(outputs[-1][:, left_out:], training, taps)
        return pool(outputs[-1], self.pooling, left_out), {}

    def _pool_by_attention(self, tokens, training, taps):
        pooling = self.class_blocks[0]
        arguments = taps.arguments(pooling, 0 if self.returned_scores == "none" else None)
        feature, scores = pooling(tokens, training=training, **arguments)
        feature = taps.read(pooling, (tokens,), feature, scores)
        return feature, {} if scores is None else {f"{pooling.name}_att": scores}
