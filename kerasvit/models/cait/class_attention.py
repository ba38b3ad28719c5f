"""What CaiT and XCiT share: blocks of class attention after those of the patches."""

from typing import Any, ClassVar

from kerasvit.layers import LearnedTokens
from kerasvit.layers.base import kernel_initializer, require
from kerasvit.layers.blocks.loop import pass_blocks
from kerasvit.layers.primitives.dense import Dense
from kerasvit.layers.primitives.dropout import Dropout
from kerasvit.layers.primitives.norms import make_norm
from kerasvit.models.base import ScoreModel
from kerasvit.models.taps import NO_TAPS, Taps

POOLINGS = ("class", "average", "none")


class ClassAttentionModel(ScoreModel):
    """A model whose class token joins after the patches' blocks, in blocks of class attention.

    Subclasses say what embeds the patches and what the blocks are.
    """

    use_qkv_bias: bool
    activation: str

    positive_arguments: ClassVar[tuple[str, ...]] = (
        *ScoreModel.positive_arguments,
        "num_class_layers",
    )

    @property
    def reads_patches(self) -> bool:
        """Whether the head's feature is pooled from all patch tokens alike."""
        return self.pooling == "average"

    @property
    def gives_tokens(self) -> bool:
        """Whether the first output is of every token instead of the image."""
        return self.pooling == "none"

    def _check_arguments(self) -> None:
        super()._check_arguments()
        require(
            self.pooling in POOLINGS,
            f"pooling must be one of {POOLINGS}. Received: pooling={self.pooling!r}",
        )

    def _prefix(self, stage: str) -> tuple[str, ...]:
        require(stage in ("sa", "ca"), f'stage must be "sa" or "ca". Received: stage={stage!r}')
        return ("class",) if stage == "ca" else ()

    def _make_layers(self) -> dict[str, Any]:
        dtype = self.dtype_policy
        layers = {
            **self._make_embedding(),
            "position_dropout": Dropout(self.dropout_rate, name="position_dropout", dtype=dtype),
            "blocks": [self._make_patch_block(index) for index in range(self.num_layers)],
            "class_token": LearnedTokens(1, name="class_token", dtype=dtype),
            "class_blocks": [
                self._make_class_block(f"ca_ffn_block_{index:02d}")
                for index in range(self.num_class_layers)
            ],
            "norm": make_norm("layer", self.layer_norm_epsilon, "norm", dtype),
        }
        if self.num_classes:
            layers["head"] = Dense(
                self.num_classes, kernel_initializer=kernel_initializer(), name="head", dtype=dtype
            )
        return layers

    def _make_embedding(self) -> dict[str, Any]:
        """Return the layers `patch_embedding` and `position`."""
        raise NotImplementedError

    def _make_patch_block(self, index: int) -> Any:
        raise NotImplementedError

    def _make_class_block(self, name: str) -> Any:
        raise NotImplementedError

    def _make_block(self, block_type: type, name: str, **others: Any) -> Any:
        return block_type(
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            use_qkv_bias=self.use_qkv_bias,
            activation=self.activation,
            layer_scale_init_value=self.layer_scale_init_value,
            layer_norm_epsilon=self.layer_norm_epsilon,
            name=name,
            dtype=self.dtype_policy,
            **others,
        )

    def _encode_patches(self, images, training, taps: Taps = NO_TAPS):
        """Return the patches that class attention reads, and the scores of the blocks before."""
        grid = self.patch_embedding.grid_of(images)
        patches = self.position(self._embed(images, training), grid=grid)
        patches = self.position_dropout(patches, training=training)
        more = self._block_arguments(grid)
        if self.loops_here and taps is NO_TAPS:
            return pass_blocks(self.blocks, patches, [more] * self.num_layers, training), {}
        scores = {}
        for index, block in enumerate(self.blocks):
            wanted = self.returned_scores == "full" and self._wants_scores(index)
            arguments = taps.arguments(block, None if wanted else 0)
            output, block_scores = block(patches, training=training, **more, **arguments)
            patches = taps.read(block, (patches,), output, block_scores)
            if wanted:
                scores[f"{block.name}_att"] = block_scores
        return patches, scores

    def _embed(self, images, training):
        raise NotImplementedError

    def _block_arguments(self, grid) -> dict[str, Any]:
        """Return the call arguments of the patches' blocks beside those of every block."""
        raise NotImplementedError
