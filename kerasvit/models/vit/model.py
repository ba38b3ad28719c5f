"""Vision Transformer: every ViT of timm, DeiT, DINO and DINOv2 by its arguments."""

import keras

from kerasvit.errors import UsageError
from kerasvit.layers.base import PACKAGE, kept_arguments
from kerasvit.layers.blocks.loop import pass_blocks
from kerasvit.models import forms
from kerasvit.models.arguments import Converted
from kerasvit.models.base import ScoreModel
from kerasvit.models.forms import (
    Blocks,
    GridShape,
    ImageShape,
    PatchSize,
    Periods,
    Pooling,
    Record,
)
from kerasvit.models.taps import NO_TAPS, Taps
from kerasvit.models.vit.arguments import check_arguments
from kerasvit.models.vit.embedding import TokenEmbedding
from kerasvit.models.vit.head import ReadOut
from kerasvit.models.vit.layers import BLOCKS, make_layers


@keras.saving.register_keras_serializable(PACKAGE)
class VisionTransformer(TokenEmbedding, ReadOut, ScoreModel):
    """Vision Transformer that returns logits and the scores of every self-attention block.

    DeiT is the same model; distilled DeiT has `use_distillation_token`; DeiT III has LayerScale and
    `position_embedding="patches"`; DINO has `num_classes=0`; DINOv2 has LayerScale and, in the
    giant, a gated MLP, and `num_registers` where it has registers; CLIP has `use_pre_norm`; SigLIP
    has `pooling="attention"` and no class token; DINOv3, EVA-02 and Perception Encoder have a
    `rope_type`, rotary positions; BEiT has `use_relative_position_bias`.

    Args:
        image_shape: `(height, width, channels)` that the position embedding is stored for. Images
            of any other size that the patch size divides are accepted: the embedding is resampled.
        patch_size: int or `(height, width)` in pixels.
        num_classes: int. 0 for no head: the first output is then the pooled feature `(B, D)`.
        hidden_dim: int. Token width D.
        num_layers: int. Number of blocks.
        num_heads: int. Attention heads H of a block; must divide `hidden_dim`.
        mlp_dim: int. Width of the MLPs.
        ignore_remainder: bool. Whether pixels at the right and the bottom that fill no patch are
            ignored instead of refused.
        pooling: "class" (the class token), "average" (or "avg"), "max" or "average_max" (of the
            patch tokens), or "attention" (a learned query reads the patches out: MAP, as in
            SigLIP).
        pool_prefix: bool. Whether pooling takes registers and class token in as well.
        pooling_heads: int or None. Heads of attention pooling; None for `num_heads`.
        pooling_mlp_dim: int or None. Width of its MLP; None for `mlp_dim`.
        use_class_token: bool. Whether there is a class token.
        use_distillation_token: bool. Adds a second token and a second head.
        distillation_output: "average" of the two heads' logits, or "both": logits `(B, 2, K)`,
            class head first.
        num_registers: int. Register tokens after the class token.
        position_embedding: "all" tokens have a learned one, or the "patches" alone, or "none".
        position_resampling: rule for other image sizes, see
            `kerasvit.layers.position_resampling.resampling_matrix`.
        rope_type: None, or the rule that queries and keys are turned by: "dinov3", "eva02", "pe",
            "axial" or "mixed", see `kerasvit.layers.RotaryEmbedding`, as for the next four.
        rope_temperature: float, or None for the rule's own.
        rope_reference_grid: `(rows, columns)` that the places are scaled to, or None.
        rope_offset: float, added to the places.
        rope_periods: of "dinov3": "float32"; "bfloat16", as in Meta's own files; or their values.
        use_relative_position_bias: bool. Whether each block adds a learned bias to its scores that
            depends on where two patches are to each other, as in BEiT; resampled for other sizes by
            the rule of `kerasvit.layers.attention.relative_bias.distance_matrix`.
        use_qkv_bias: bool. Whether queries, keys and values have biases.
        use_key_bias: bool. Whether keys have one where the two others have.
        num_key_value_heads: int or None. Heads of keys and values in grouped-query attention; None
            for `num_heads`.
        full_head_blocks: int. How many blocks at either end have `num_heads` of them all the same.
        use_qk_norm: bool. Whether queries and keys are normalised, each head by itself.
        use_projection_bias: bool. Whether the attention's projection and the MLPs have biases.
        use_sub_norm: bool. Whether attention and MLP are normalised before their last projection,
            as in BEiT-3.
        use_mlp_sub_norm: bool. Whether the MLP alone is, as in EVA-02.
        use_patch_norm: bool. Whether the patches are normalised before their positions are added,
            as in AIMv2.
        use_pre_norm: bool. Whether the tokens are normalised before the first block, as in CLIP;
            the patch embedding then has no bias.
        use_final_norm: bool. Whether there is a norm after the last block.
        norm_after_pooling: bool or None. Whether the last norm acts on the pooled feature instead
            of the tokens; None for "average", "max" and "average_max" pooling alone.
        norm_type: "layer" or "rms", of all norms.
        block_type: "encoder"; "post_norm", whose branches are normalised at their end; "parallel",
            attention beside the MLP; "branched", two attentions side by side, then two MLPs.
        attention_type: "self", or "differential": one softmax map minus another.
        mlp_type: "mlp" or "gated".
        activation: str. See `kerasvit.layers.primitives.activations.activation_function`.
        layer_scale_init_value: float or None. Start of LayerScale's factors; None for none.
        use_mlp_layer_scale: bool. Whether it acts on the MLPs too.
        layer_norm_epsilon: float.
        dropout_rate: float in [0, 1), after position embedding, projections and MLP layers.
        attention_dropout_rate: float in [0, 1), on the attention scores.
        drop_path_rate: float in [0, 1), stochastic depth of the last block; it grows linearly from
            0 in the first.
        head_blocks: int. How many of the last blocks the head reads the class token of, side by
            side, as the linear heads of DINO and DINOv2 do.
        head_patch_mean: bool. Whether the head reads the mean patch token of the last block too.
        head_interleaved: bool. Whether that mean alternates with the class token, element by
            element, instead of following it.
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
            before dropout. Branched blocks have the heads of both branches; differential attention
            returns its differences, which are no probabilities.
        ca_scores: `{}`: a ViT has no class attention. With attention pooling
            `ca_pooling_block_00_att`, `(B, H, 1, P)`: what the learned query reads (`1 + P` where
            `pool_prefix` gives it the class token).

    Raises:
        ValueError: if an argument is out of its range.

    Source: Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929); DeiT: 2012.12877; DeiT III:
    2204.07118; DINO: 2104.14294; DINOv2: 2304.07193; registers: 2309.16588; DINOv3: 2508.10104;
    BEiT: 2106.08254; reference timm/models/vision_transformer.py, eva.py and beit.py.
    """

    image_shape: ImageShape = Converted((224, 224, 3), forms.shape)
    patch_size: PatchSize = Converted(16, forms.pair)
    num_classes: int = 1000
    hidden_dim: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    ignore_remainder: bool = False
    pooling: Pooling = Converted("class", forms.pooling)
    pool_prefix: bool = False
    use_class_token: bool = True
    use_distillation_token: bool = False
    distillation_output: str = "average"
    num_registers: int = 0
    position_embedding: str = "all"
    position_resampling: str = "bicubic_antialias"
    use_qkv_bias: bool = True
    use_qk_norm: bool = False
    use_projection_bias: bool = True
    use_sub_norm: bool = False
    use_patch_norm: bool = False
    use_pre_norm: bool = False
    use_final_norm: bool = True
    norm_after_pooling: bool | None = None
    norm_type: str = "layer"
    block_type: str = "encoder"
    attention_type: str = "self"
    mlp_type: str = "mlp"
    activation: str = "gelu"
    layer_scale_init_value: float | None = None
    layer_norm_epsilon: float = 1e-6
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    drop_path_rate: float = 0.0
    head_blocks: int = 1
    head_patch_mean: bool = False
    head_interleaved: bool = False
    attention: str = "full"
    attention_blocks: Blocks = Converted(None, forms.blocks)
    record: Record = Converted(None, forms.record)
    # Younger arguments come last: the others may be given by position.
    rope_type: str | None = None
    rope_temperature: float | None = None
    rope_reference_grid: GridShape = Converted(None, forms.grid)
    rope_offset: float = 0.0
    rope_periods: Periods = Converted("float32", forms.periods)
    use_key_bias: bool = True
    num_key_value_heads: int | None = None
    full_head_blocks: int = 0
    use_mlp_sub_norm: bool = False
    use_mlp_layer_scale: bool = True
    pooling_heads: int | None = None
    pooling_mlp_dim: int | None = None
    use_relative_position_bias: bool = False

    view_arguments = ("distillation_output",)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_arguments(kept_arguments(self, self.arguments), BLOCKS)

    def _make_layers(self) -> dict[str, keras.layers.Layer]:
        return make_layers(self, self._prefix("sa"))

    def _input_shape_of(self, layer, input_shape):
        if layer is getattr(self, "head", None):
            return (input_shape[0], self.hidden_dim * (self.head_blocks + self.head_patch_mean))
        if layer is getattr(self, "norm", None) and self.normed_after_pooling:
            return (input_shape[0], self.hidden_dim)
        return super()._input_shape_of(layer, input_shape)

    def _forward(self, images, training, taps: Taps = NO_TAPS):
        outputs, sa_scores = self._encode(images, training, taps)
        logits, ca_scores = self._classify(outputs, training, taps)
        return logits, sa_scores, ca_scores

    def read_out(self, tokens):
        """Return the logits of a block's output `(B, N, D)`, as if it were the last block's.

        Raises:
            UsageError: if the head reads several blocks.
        """
        if self.head_blocks > 1:
            raise UsageError(
                "A head that reads several blocks has no logits of one block alone. "
                f"Received: head_blocks={self.head_blocks}. Use a model with head_blocks=1."
            )
        return self._classify([self._norm_tokens(tokens)])[0]

    def forward_features(self, images, training=None):
        """Return the tokens after the last norm, `(B, N, D)`, prefix tokens first."""
        return self._encode(images, training)[0][-1]

    def _encode(self, images, training, taps: Taps = NO_TAPS):
        """Return the normalised tokens of the blocks that the head reads, and the scores."""
        grid = self.patch_embedding.grid_of(images)
        tokens = self._embed(images, grid, training)
        read_tokens = self.use_class_token + self.use_distillation_token
        rows = {"full": None, "cls": read_tokens, "none": 0}[self.returned_scores]
        places = self._places(grid)
        if self.loops_here and taps is NO_TAPS and self.head_blocks == 1:
            return [self._norm_tokens(pass_blocks(self.blocks, tokens, places, training))], {}
        outputs, scores = [], {}
        for index, block in enumerate(self.blocks):
            arguments = taps.arguments(block, rows if self._wants_scores(index) else 0)
            output, block_scores = block(tokens, training=training, **arguments, **places[index])
            tokens = taps.read(block, (tokens,), output, block_scores)
            if block_scores is not None:
                scores[f"{block.name}_att"] = block_scores
            if index >= self.num_layers - self.head_blocks:
                outputs.append(self._norm_tokens(tokens))
        return outputs, scores

    def _norm_tokens(self, tokens):
        acts_here = self.use_final_norm and not self.normed_after_pooling
        return self.norm(tokens) if acts_here else tokens
