"""The arguments of a layer are read off its constructor, and those of its bases."""

import inspect

import keras
import pytest

from kerasvit.layers import BranchedBlock, EncoderBlock, LayerScale, LayerScaleBlock
from kerasvit.layers.base import (
    ConfiguredLayer,
    constructor_arguments,
    nested_layers,
    sublayers,
)


class _Base(ConfiguredLayer):
    def __init__(self, width: int, depth: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.width, self.depth = width, depth


class _HandsOn(_Base):
    def __init__(self, depth: int, _shared: object = None, *, height: int = 2, **kwargs):
        super().__init__(depth=depth, **kwargs)
        self.height = height


class _Beside:
    def __init__(self, *args, breadth: int = 3, **kwargs):
        super().__init__(*args, **kwargs)
        self.breadth = breadth


class _Mixed(_Beside, _HandsOn):
    pass


class _HandsNothingOn(_Base):
    def __init__(self, size: int):
        super().__init__(width=size)
        self.size = size


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (ConfiguredLayer, ()),
        (_Base, ("width", "depth")),
        (_HandsOn, ("width", "depth", "height")),
        (_Mixed, ("width", "depth", "height", "breadth")),
        (_HandsNothingOn, ("size",)),
        (keras.layers.Dense, ()),
    ],
)
def test_arguments_are_those_of_the_constructor_and_of_what_it_hands_on_to(layer, expected):
    assert constructor_arguments(layer) == expected
    if issubclass(layer, ConfiguredLayer):
        assert layer.arguments == expected


def test_bases_may_be_overridden_without_a_constructor():
    plain = type("Plain", (LayerScale,), {})
    assert plain.arguments == LayerScale.arguments == ("init_value",)


def test_what_a_derived_layer_keeps_under_another_name_is_its_own_to_say():
    class Named(EncoderBlock):
        def __init__(self, num_heads: int, mlp_dim: int, flavour: str = "plain", **kwargs):
            super().__init__(num_heads, mlp_dim, **kwargs)
            self.kept = flavour

        def get_config(self):
            return {**super().get_config(), "flavour": self.kept}

    layer = Named.from_config(Named(2, 8, flavour="sweet", drop_path_rate=0.5).get_config())
    assert (layer.kept, layer.drop_path_rate, layer.mlp_dim) == ("sweet", 0.5, 8)


def test_every_argument_of_a_constructor_is_one_that_it_says():
    parameters = inspect.signature(EncoderBlock.__init__).parameters
    assert {*parameters} - {"self", "kwargs"} <= set(EncoderBlock.arguments)


@pytest.mark.backend
@pytest.mark.parametrize("block_type", [EncoderBlock, BranchedBlock, LayerScaleBlock])
def test_layers_inside_are_those_that_keras_finds_and_in_its_order(block_type):
    block = block_type(2, 8, layer_scale_init_value=0.5, drop_path_rate=0.1)
    block.build((None, None, 4))
    outer = keras.layers.Layer()
    outer.many, outer.by_name, outer.single = [block, block], {"a": LayerScale()}, LayerScale()
    for layer in (outer, *nested_layers(outer)):
        expected = layer._flatten_layers(include_self=False, recursive=False)
        assert list(map(id, sublayers(layer))) == list(map(id, expected))
        assert list(map(id, nested_layers(layer))) == list(map(id, layer._flatten_layers()))
