"""What CaiT and XCiT share: blocks of class attention after those of the patches."""

from typing import ClassVar

from kerasvit.layers.base import require
from kerasvit.models.base import ScoreModel

POOLINGS = ("class", "average", "none")


class ClassAttentionModel(ScoreModel):
    """A model whose class token joins after the patches' blocks, in blocks of class attention."""

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
