"""What a Vision Transformer is, by its arguments."""

from kerasvit.models.family import FamilyFacts
from kerasvit.models.vit.arguments import check_stage
from kerasvit.models.vit.readout import PATCH_POOLINGS


class ViTFacts(FamilyFacts):
    """Facts that other rooms ask of a `VisionTransformer`."""

    family = "vit"

    pooling: str
    use_class_token: bool
    use_distillation_token: bool
    num_registers: int
    pool_prefix: bool
    head_blocks: int
    head_patch_mean: bool
    norm_after_pooling: bool | None
    position_embedding: str
    rope_type: str | None
    use_relative_position_bias: bool

    @property
    def has_position_table(self) -> bool:
        """Whether positions are learned, one for each place of a grid."""
        return self.position_embedding != "none"

    @property
    def has_class_token(self) -> bool:
        """Whether one of the tokens is a class token."""
        return self.use_class_token

    @property
    def is_distilled(self) -> bool:
        """Whether there is a distillation token, and so two heads."""
        return self.use_distillation_token

    @property
    def reads_patches(self) -> bool:
        """Whether the head's feature is pooled from all patch tokens alike."""
        return self.pooling in PATCH_POOLINGS

    @property
    def reads_several_tokens(self) -> bool:
        """Whether the head reads tokens of several blocks, or the mean patch beside the class."""
        return self.head_blocks > 1 or self.head_patch_mean

    @property
    def normed_after_pooling(self) -> bool:
        """Whether the last norm acts on the pooled feature instead of the tokens."""
        if self.norm_after_pooling is None:
            return self.pooling in PATCH_POOLINGS
        return self.norm_after_pooling

    def _prefix(self, stage: str) -> tuple[str, ...]:
        """Return the names of the tokens before the patches in the scores of a stage."""
        check_stage(stage, self.pooling)
        if stage == "ca" and not self.pool_prefix:
            return ()
        names = (("class", self.use_class_token), ("distillation", self.use_distillation_token))
        registers = (f"register_{index}" for index in range(self.num_registers))
        return (*(name for name, present in names if present), *registers)
