"""Which layers of a model are frozen, as its config holds it."""

from collections.abc import Iterator
from typing import Any

import keras

from kerasvit.layers.base import sublayers

# Key of a config; absent where no layer differs from the model.
TRAINABLE_LAYERS = "trainable_layers"


def trainable_layers(model: keras.Model) -> dict[str, bool]:
    """Return `trainable` of the layers that differ in it from the layer around them.

    Keras keeps that of the model alone, so that a frozen backbone would train again after loading.

    Args:
        model: with or without frozen layers.

    Returns:
        By the names of a layer and of those around it, joined by "/".
    """
    return {
        place: layer.trainable
        for place, layer, around in _places(model)
        if layer.trainable != around.trainable
    }


def set_trainable_layers(model: keras.Model, flags: dict[str, Any]) -> None:
    """Give every layer the `trainable` that `trainable_layers` found; the model has its own."""
    for place, layer, around in _places(model):
        wanted = bool(flags.get(place, around.trainable))
        if layer.trainable != wanted:
            layer.trainable = wanted  # and that of all layers inside, which come after it


def _places(
    layer: keras.layers.Layer, prefix: str = ""
) -> Iterator[tuple[str, keras.layers.Layer, keras.layers.Layer]]:
    """Yield the place of each layer inside, itself, and the layer around it; outer ones first."""
    for inner in sublayers(layer):
        place = f"{prefix}{inner.name}"
        yield place, inner, layer
        yield from _places(inner, f"{place}/")
