"""timm's models: fused attention, attention written out with its maps collected, compiled."""

import functools

import torch

from benchmarks.contenders.pictures import channels_first
from benchmarks.harness.subjects import SUBJECTS
from kerasvit.conversion.proof.timm.package import import_timm


def create(task):
    """Make timm's model with random weights, ready to infer."""
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    subject = SUBJECTS[task.model]
    return import_timm().create_model(task.model, **subject.timm_arguments(task.size)).eval()


class Fused:
    """timm as it comes."""

    def __init__(self, task):
        self.model = create(task)
        self.pictures = channels_first(task)
        self.images = task.batch

    def __call__(self):
        with torch.inference_mode():
            return self.model(torch.from_numpy(self.pictures)).numpy(), {}


class Compiled(Fused):
    """The same through `torch.compile`."""

    def __init__(self, task):
        super().__init__(task)
        self.model = torch.compile(self.model)


class Hooked(Fused):
    """Attention written out, so that hooks see its maps: what users of timm do for them.

    The hooks keep references and copy nothing. Block by block, self- and class attention.
    """

    def __init__(self, task):
        super().__init__(task)
        self.scores = {}
        for name, module in self.model.named_modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
            if name.endswith("attn.attn_drop"):
                module.register_forward_hook(functools.partial(self._keep, name))

    def _keep(self, name, module, inputs, output):
        self.scores[name] = output

    def __call__(self):
        self.scores = {}
        logits, _ = super().__call__()
        return logits, {name: score.numpy() for name, score in self.scores.items()}
