"""The normalisations of a transformer, by the names that configs use."""

import keras

from kerasvit.layers.base import require

NORM_TYPES = ("layer", "rms")


def make_norm(norm_type: str, epsilon: float, name: str, dtype) -> keras.layers.Layer:
    """Return Keras' normalisation over the last axis.

    Args:
        norm_type: "layer" for layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450)
            or "rms", which neither centres nor shifts (Zhang and Sennrich 2019,
            https://arxiv.org/abs/1910.07467).
        epsilon: float, added to the variance. The ViT papers use 1e-6, Keras' default is 1e-3.
        name: of the layer.
        dtype: of the layer, or its policy.

    Raises:
        ValueError: if the type is neither.
    """
    require(
        norm_type in NORM_TYPES,
        f"norm_type must be one of {NORM_TYPES}. Received: norm_type={norm_type!r}",
    )
    norm = keras.layers.RMSNormalization if norm_type == "rms" else keras.layers.LayerNormalization
    return norm(epsilon=epsilon, name=name, dtype=dtype)
