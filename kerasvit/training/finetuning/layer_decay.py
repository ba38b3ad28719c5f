"""Layer-wise learning-rate decay: the deeper a layer, the faster it learns."""

from collections.abc import Iterator
from typing import Any

import keras

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel

_HEADS = ("head", "distillation_head")


def layer_wise_rates(model: ScoreModel, decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of each weight.

    The head has 1, the last block `decay`, the block before it `decay**2`, and so on down to the
    embedding of patches, positions and tokens. CaiT's class-attention blocks count as further
    depth after its self-attention blocks. (timm lays them beside the last self-attention blocks;
    for a ViT the factors are the same as timm's.) A norm or an attention pooling that makes the
    head's feature learns as the head does.

    Args:
        model: a kerasvit model.
        decay: float in (0, 1]; 1 for one rate everywhere.

    Returns:
        Factors by `variable.path`, for every weight of the model.

    Raises:
        UsageError: if `decay` is out of its range.

    Source: Bao et al. 2022, BEiT, appendix (https://arxiv.org/abs/2106.08254); reference
    unilm/beit/optim_factory.py and timm/optim/_param_groups.py `param_groups_layer_decay`.
    """
    if not 0.0 < decay <= 1.0:
        raise UsageError(f"layer_decay lies in (0, 1]. Received: layer_decay={decay!r}.")
    top = len(_stacked_blocks(model)) + 1
    return {
        weight.path: decay ** (top - depth)
        for layer, depth in _depths(model, top)
        for weight in layer.weights
    }


def _depths(model: ScoreModel, top: int) -> Iterator[tuple[keras.layers.Layer, int]]:
    """Yield every layer with its depth: 0 for the embeddings, `top` for the head."""
    blocks = _stacked_blocks(model)
    depths = {block.name: number for number, block in enumerate(blocks, start=1)}
    depths |= dict.fromkeys(_HEADS, top)
    depths |= {block.name: depths.get(block.name, top) for block in model.class_blocks}
    depths["norm"] = top if _norms_the_feature(model) else top - 1
    for layer in model.layers:
        yield layer, depths.get(layer.name, 0)


def _stacked_blocks(model: ScoreModel) -> list[Any]:
    """Return the blocks that follow each other; a ViT's attention pooling is none of them."""
    stacks_class_blocks = hasattr(model, "num_class_layers")
    return model.all_blocks() if stacks_class_blocks else list(model.blocks)


def _norms_the_feature(model: ScoreModel) -> bool:
    acts_after_pooling = getattr(model, "norms_after_pooling", None)
    return acts_after_pooling is not None and acts_after_pooling()
