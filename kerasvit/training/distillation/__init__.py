"""Learning from a teacher."""

from kerasvit.training.distillation.student import DistilledTraining as DistilledTraining
