"""What a model's family is: facts that other rooms ask of the model instead of its class."""

from collections.abc import Sequence
from typing import Any, ClassVar

from kerasvit.layers.base import require
from kerasvit.models.problem import Problem, problem_of


class FamilyFacts:
    """Facts of a model that follow from its class and its arguments.

    What is written here holds for a model that reads one class token out of the last block by one
    head; families override what differs.
    """

    # "vit", "cait" or "xcit": whose code and weights the model has.
    family: ClassVar[str]

    num_layers: int
    num_classes: int
    record: Any

    # Whether the blocks before class attention attend among channels: `xca_` scores, no tokens.
    attends_to_channels: ClassVar[bool] = False

    # Blocks of class attention that follow those of self-attention.
    num_class_layers: int = 0

    # The same blocks, or the attention pooling of a ViT.
    class_blocks: Sequence[Any] = ()

    @property
    def depth(self) -> int:
        """Number of blocks that follow each other: those of self-attention, then class attention.

        The attention pooling of a ViT is none of them, though it is one of `all_blocks`.
        """
        return self.num_layers + self.num_class_layers

    @property
    def has_position_table(self) -> bool:
        """Whether positions are learned, one for each place of a grid."""
        return True

    @property
    def has_class_token(self) -> bool:
        """Whether one of the tokens is a class token."""
        return True

    @property
    def has_class_query(self) -> bool:
        """Whether one query stands for the image: a class token's, or attention pooling's."""
        return self.has_class_token or bool(self.class_blocks)

    @property
    def is_distilled(self) -> bool:
        """Whether there is a distillation token, and so two heads."""
        return False

    @property
    def reads_patches(self) -> bool:
        """Whether the head's feature is pooled from all patch tokens alike."""
        return False

    @property
    def gives_tokens(self) -> bool:
        """Whether the first output is of every token instead of the image."""
        return False

    @property
    def reads_several_tokens(self) -> bool:
        """Whether the head reads tokens of several blocks, or the mean patch beside the class."""
        return False

    @property
    def normed_after_pooling(self) -> bool:
        """Whether the last norm acts on the pooled feature instead of the tokens."""
        return False

    @property
    def problem(self) -> Problem:
        """How the logits are read, by the record's `problem_type`: softmax, sigmoid, as values.

        Raises:
            UsageError: if the model has no head, or the record's problem type is unknown.
        """
        require(
            self.num_classes > 0,
            "A model without a head solves no problem; its first output is a feature. "
            "Received: num_classes=0. Choose a model with a head",
        )
        return problem_of(self.record, self.num_classes)

    @property
    def problem_type(self) -> str:
        """What the logits mean, one of `kerasvit.models.problem.PROBLEM_TYPES`."""
        return self.problem.problem_type

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads that the model has, the class token's first; none for a backbone."""
        if not self.num_classes:
            return ()
        return ("head", "distillation_head") if self.is_distilled else ("head",)

    def heads(self) -> list[Any]:
        """Return the layers of `head_names`."""
        return [getattr(self, name) for name in self.head_names]
