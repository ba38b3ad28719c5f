"""The attention scores of a timm model, caught while it runs."""

import functools
from typing import Any, Self


class Caught:
    """Hooks that catch every attention score of a timm ViT, CaiT or XCiT, by our keys.

    The attention must be written out (`timm.layers.set_fused_attn(False)` before the model is
    made): a fused kernel has no scores.

    Args:
        module: timm's model.
    """

    def __init__(self, module: Any):
        self.module = module

    def __enter__(self) -> Self:
        self._inputs: dict[Any, Any] = {}
        self._handles = [
            part.register_forward_pre_hook(functools.partial(self._keep, part))
            for part in self._parts()
        ]
        return self

    def __exit__(self, *exception) -> None:
        for handle in self._handles:
            handle.remove()

    def _keep(self, part, module, inputs) -> None:
        self._inputs[part] = inputs[0].detach().clone()

    def _parts(self):
        for block in self.module.blocks:
            yield from (attention.attn_drop for attention in _attentions(block))
        for block in _class_blocks(self.module):
            yield block.attn.attn_drop
        if getattr(self.module, "attn_pool", None) is not None:
            yield self.module.attn_pool

    def scores(self) -> dict[str, Any]:
        """Return the scores of the last run as tensors."""
        import torch

        found = {
            f"{_stage(block)}_ffn_block_{index:02d}_att": torch.cat(
                [self._of(attention) for attention in _attentions(block)], dim=1
            )
            for index, block in enumerate(self.module.blocks)
        }
        for index, block in enumerate(_class_blocks(self.module)):
            found[f"ca_ffn_block_{index:02d}_att"] = self._inputs[block.attn.attn_drop]
        if getattr(self.module, "attn_pool", None) is not None:
            found["ca_pooling_block_00_att"] = self._pooling()
        return found

    def _of(self, attention):
        caught = self._inputs[attention.attn_drop]
        if not hasattr(attention, "lambda_q1"):
            return caught
        # Differential attention combines its two maps after the dropout.
        return caught[:, 0::2] - attention._compute_lambda() * caught[:, 1::2]

    def _pooling(self):
        """Compute what timm's attention pooling keeps to itself, by its own layers."""
        pool = self.module.attn_pool
        tokens = self._inputs[pool]
        heads, width = pool.num_heads, pool.head_dim
        query = pool.q(pool.latent).unflatten(-1, (heads, width)).transpose(1, 2)
        key = pool.kv(tokens).chunk(2, dim=-1)[0].unflatten(-1, (heads, width)).transpose(1, 2)
        return (query @ key.transpose(-2, -1) * width**-0.5).softmax(dim=-1)


def _class_blocks(module) -> Any:
    return getattr(module, "blocks_token_only", None) or getattr(module, "cls_attn_blocks", ())


def _stage(block) -> str:
    """Return the stage of a block before class attention: XCiT's heads have temperatures."""
    return "xca" if hasattr(getattr(block, "attn", None), "temperature") else "sa"


def _attentions(block) -> list[Any]:
    if hasattr(block, "attns"):
        return [branch.attn for branch in block.attns]
    return [block.attn if hasattr(block, "attn") else block]
