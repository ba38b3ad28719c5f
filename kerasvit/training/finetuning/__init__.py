"""Fine-tuning of pretrained models."""

from kerasvit.training.finetuning.finetune import finetune as finetune
from kerasvit.training.finetuning.settings import FineTuning as FineTuning
