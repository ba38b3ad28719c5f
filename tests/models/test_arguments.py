"""Arguments are declared in the body of a class; wrong ones are refused in one line."""

import inspect

import numpy as np
import pytest

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.models import CaiT, VisionTransformer, create_model

SIZES = {
    "image_shape": (8, 16, 3),
    "patch_size": 8,
    "num_classes": 2,
    "hidden_dim": 6,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 8,
}


@pytest.mark.parametrize("model_type", [VisionTransformer, CaiT])
def test_the_signature_says_what_the_class_takes(model_type):
    parameters = inspect.signature(model_type).parameters
    *named, rest = parameters.values()
    assert rest.kind is inspect.Parameter.VAR_KEYWORD
    assert tuple(parameter.name for parameter in named) == model_type.arguments
    assert list(parameters)[:3] == ["image_shape", "patch_size", "num_classes"]
    assert parameters["patch_size"].default == 16
    for name in model_type.arguments:
        assert f"\n        {name}: " in model_type.__doc__


def test_arguments_may_go_by_position():
    model = CaiT((8, 16), (8, 4), 2, 6, 1, 1, 3, 8)
    assert (model.image_shape, model.patch_size) == ((8, 16, 3), (8, 4))
    assert (model.hidden_dim, model.num_class_layers, model.mlp_dim) == (6, 1, 8)


def test_numbers_of_numpy_are_kept_as_pythons_own():
    model = CaiT(
        **{**SIZES, "num_heads": np.int64(3), "layer_norm_epsilon": np.float32(0.5)}
        | {"patch_size": np.int64(8)}
    )
    config = model.get_config()
    assert type(config["num_heads"]) is int
    assert (type(config["layer_norm_epsilon"]), config["layer_norm_epsilon"]) == (float, 0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_layers": "a"},
        {"num_layers": 2.0},
        {"num_layers": True},
        {"num_layers": None},
        {"num_classes": -1},
        {"dropout_rate": "a"},
        {"dropout_rate": float("nan")},
        {"attention_dropout_rate": 1.0},
        {"drop_path_rate": -0.1},
        {"layer_norm_epsilon": -1},
        {"layer_norm_epsilon": "x"},
        {"layer_norm_epsilon": float("inf")},
        {"use_qkv_bias": "no"},
        {"activation": 3},
        {"image_shape": "wide"},
        {"image_shape": (8.0, 16.0, 3)},
        {"image_shape": (8,)},
        {"patch_size": (8, 8, 8)},
        {"patch_size": 0},
        {"patch_size": None},
        {"record": 3},
        {"dtype": "foo"},
        {"attention": "some"},
        {"attention_blocks": 3},
        {"attention_blocks": ["x"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("model_type", [VisionTransformer, CaiT])
def test_a_wrong_value_is_refused_in_one_line(model_type, wrong):
    with pytest.raises(UsageError, match="Received: ") as caught:
        model_type(**{**SIZES, **wrong})
    (name,) = wrong
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_argument_is_refused():
    with pytest.raises((TypeError, ValueError), match="num_head"):
        CaiT(**SIZES, num_head=3)
    with pytest.raises(UsageError, match="num_head"):
        create_model("cait_nano_patch4_32", num_head=3)


class _Declaring(CaiT):
    extra: int = 3


class _Constructing(CaiT):
    def __init__(self, extra=3, **kwargs):
        super().__init__(**kwargs)
        self.extra = extra


class _Fixed(CaiT):
    def __init__(self):
        super().__init__(**SIZES)
        self.extra = 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: _Declaring(**SIZES, extra=7, name="mine"),
        lambda: _Constructing(**SIZES, extra=7, name="mine"),
        _Fixed,
    ],
)
def test_a_derived_class_has_views_that_share_its_layers(make):
    model = make()
    view = model.with_attention("cls", blocks=[-1])
    assert type(view) is type(model)
    assert (view.name, view.extra) == (model.name, 7)
    assert (view.attention, view.attention_blocks) == ("cls", [1])
    assert {id(layer) for layer in view.layers} == {id(layer) for layer in model.layers}
    assert model.attention == "full"
    assert view.headless().headless().num_classes == 0


@pytest.mark.parametrize("model_type", [_Declaring, _Constructing])
def test_a_derived_class_comes_back_from_its_config(model_type):
    model = model_type(**SIZES, extra=7)
    again = model_type.from_config(model.get_config())
    assert again.extra == 7
    assert again.get_config() == model.get_config()


def test_an_argument_that_is_not_set_yet_is_an_attribute_error():
    """Keras on TensorFlow asks for what an attribute was before it sets it."""
    model = kerasvit.CaiT.__new__(kerasvit.CaiT)
    assert not hasattr(model, "image_shape")
