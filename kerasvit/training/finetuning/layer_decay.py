"""Layer-wise learning-rate decay: the deeper a layer, the faster it learns."""

from collections.abc import Iterator

import keras

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel


def layer_wise_rates(model: ScoreModel, decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of each weight.

    The head has 1, the last block `decay`, the block before it `decay**2`, and so on down to the
    embedding of patches, positions and tokens. CaiT's class-attention blocks count as further
    depth after its self-attention blocks. (timm lays them beside the last self-attention blocks;
    for a ViT, BEiT and XCiT the factors are the same as timm's.) Learned rotary frequencies count
    with the positions; timm's groups leave them out, and so at the head's rate. A norm or an
    attention pooling that makes the head's feature learns as the head does.

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
    top = model.depth + 1
    return {
        weight.path: decay ** (top - depth)
        for layer, depth in _depths(model, top)
        for weight in layer.weights
    }


def _depths(model: ScoreModel, top: int) -> Iterator[tuple[keras.layers.Layer, int]]:
    """Yield every layer with its depth: 0 for the embeddings, `top` for the head."""
    # A ViT's attention pooling is one of its blocks, but not one that others follow.
    blocks = model.all_blocks()[: model.depth]
    depths = {block.name: number for number, block in enumerate(blocks, start=1)}
    depths |= dict.fromkeys(model.head_names, top)
    depths |= {block.name: depths.get(block.name, top) for block in model.class_blocks}
    depths["norm"] = top if model.normed_after_pooling else top - 1
    for layer in model.layers:
        yield layer, depths.get(layer.name, 0)
