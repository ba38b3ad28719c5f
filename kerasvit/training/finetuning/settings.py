"""How a model is fine-tuned, and what that gives."""

import dataclasses

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel

METHODS = ("full", "lora", "frozen")


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How a model is fine-tuned.

    Args:
        method: "frozen" trains the head alone: the features are computed once, and the head is
            the best linear classifier of them, so that the other options but the seed and the batch
            size say nothing. The others go on from there, epoch by epoch: "full" trains every
            weight; "lora" the head and small matrices beside the frozen ones of the blocks.
        lora_rank: int, at least 1, of the small matrices.
        layer_decay: float in (0, 1]; see `layer_wise_rates`. Of "full" alone.
        epochs: int, at least 1.
        batch_size: int, at least 1.
        learning_rate: float above 0, its peak; it rises over a tenth of the steps and falls to 0
            along a cosine. None for 2e-4, with LoRA 2e-3.
        weight_decay: float, at least 0, of matrices; other weights have none.
        label_smoothing: float in [0, 1).
        smallest_crop: float in (0, 1]; see `TrainingBatches`.
        flip: bool. Whether half of the pictures are mirrored.
        seed: int, at least 0, of all that is random.

    Raises:
        UsageError: if a value is out of its range.
    """

    method: str = "full"
    lora_rank: int = 8
    layer_decay: float = 0.75
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float | None = None
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    smallest_crop: float = 0.5
    flip: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            f"method is one of {METHODS}": self.method in METHODS,
            "lora_rank is at least 1": self.lora_rank >= 1,
            "epochs is at least 1": self.epochs >= 1,
            "batch_size is at least 1": self.batch_size >= 1,
            "layer_decay lies in (0, 1]": 0 < self.layer_decay <= 1,
            "smallest_crop lies in (0, 1]": 0 < self.smallest_crop <= 1,
            "learning_rate is above 0": self.learning_rate is None or self.learning_rate > 0,
            "weight_decay is at least 0": self.weight_decay >= 0,
            "seed is at least 0": self.seed >= 0,
            "label_smoothing lies in [0, 1)": 0 <= self.label_smoothing < 1,
        }
        for rule, holds in rules.items():
            if not holds:
                raise UsageError(f"Fine-tuning: {rule}. Received: {self}.")


@dataclasses.dataclass(eq=False)
class FineTuned:
    """What fine-tuning gave.

    Args:
        model: the model with its new classes, at its best epoch.
        accuracy: share in [0, 1] of the held-out pictures that it classifies right; None where
            there are none.
        history: the figures of each epoch: `epoch` (0 for the linear classifier), `loss`,
            `accuracy`, `val_accuracy`, `seconds` since the start.
        seconds: of the whole run.
    """

    model: ScoreModel
    accuracy: float | None = None
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
