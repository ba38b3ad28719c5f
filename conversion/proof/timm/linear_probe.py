"""The linear heads of DINO and DINOv2 on timm's model, by the formulas that they were trained with.

Source: dino/eval_linear.py (`forward`), dinov2/hub/classifiers.py (`_LinearClassifierWrapper`).
"""

from typing import Any, Self

from kerasvit.models.base import ScoreModel


def reads_blocks(model: ScoreModel) -> bool:
    """Tell whether a model's head is one that timm has no model for."""
    return model.reads_several_tokens


class Probe:
    """Hooks that catch what the last blocks of a timm model give, for a linear head on it.

    Args:
        module: timm's model.
        model: the Keras model, whose arguments say what the head reads.
        weight: torch tensor `(K, F)`.
        bias: torch tensor `(K,)`.
    """

    def __init__(self, module: Any, model: ScoreModel, weight: Any, bias: Any):
        self._module, self._model = module, model
        self._weight, self._bias = weight, bias

    def __enter__(self) -> Self:
        self._outputs: list[Any] = []
        self._handles = [
            block.register_forward_hook(lambda block, inputs, output: self._outputs.append(output))
            for block in self._module.blocks[-self._model.head_blocks :]
        ]
        return self

    def __exit__(self, *exception) -> None:
        for handle in self._handles:
            handle.remove()

    def logits(self) -> Any:
        """Return the logits of the last run."""
        import torch

        tokens = [self._module.norm(output) for output in self._outputs]
        feature = torch.cat([one[:, 0] for one in tokens], dim=-1)
        if self._model.head_patch_mean:
            mean = tokens[-1][:, self._module.num_prefix_tokens :].mean(dim=1)
            if self._model.head_interleaved:
                feature = torch.cat([feature.unsqueeze(-1), mean.unsqueeze(-1)], dim=-1).flatten(1)
            else:
                feature = torch.cat([feature, mean], dim=-1)
        weight, bias = (one.to(feature.dtype) for one in (self._weight, self._bias))
        return torch.nn.functional.linear(feature, weight, bias)
