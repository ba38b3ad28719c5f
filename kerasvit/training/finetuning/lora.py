"""Low-rank adaptation: small matrices beside frozen ones."""

import keras

from kerasvit.errors import UsageError
from kerasvit.layers.base import nested_layers
from kerasvit.models.base import ScoreModel


def freeze_backbone(model: ScoreModel) -> None:
    """Leave nothing but the head to training, in the model and in all its views."""
    for layer in model.layers:
        if layer.name not in model.head_names:
            for weight in layer.weights:
                weight.trainable = False


def enable_lora(model: ScoreModel, rank: int, seed: int = 0) -> list[str]:
    """Freeze a model but for its head, and let every dense layer of its blocks adapt at low rank.

    These are the projections of the attention and the MLPs'. Saving the model adds each product to
    its matrix, so that the file holds a plain model.

    Args:
        model: a kerasvit model.
        rank: int, at least 1, of each added matrix.
        seed: of the random one of each two factors; the other starts at zero.

    Returns:
        Paths of the layers that adapt.

    Raises:
        UsageError: if `rank` is below 1.

    Source: Hu et al. 2021 (https://arxiv.org/abs/2106.09685); all linear layers of a block:
    Dettmers et al. 2023, section 4 (https://arxiv.org/abs/2305.14314).
    """
    if rank < 1:
        raise UsageError(f"The rank of LoRA is at least 1. Received: rank={rank!r}.")
    freeze_backbone(model)
    layers = [
        layer
        for block in model.all_blocks()
        for layer in nested_layers(block)
        if isinstance(layer, keras.layers.Dense)
    ]
    for number, layer in enumerate(layers):
        start = keras.initializers.HeUniform(seed=seed * 10_007 + number)
        layer.enable_lora(rank, a_initializer=start)
    return [layer.path for layer in layers]
