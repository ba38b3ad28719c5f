"""What configs state, key by key: against timm's and transformers' own names, and by tables."""

import inspect
import re
import types

import pytest

from kerasvit import CaiT, VisionTransformer, XCiT
from kerasvit.conversion.facts import huggingface, pictures, rotary
from kerasvit.conversion.facts import timm as of_timm
from kerasvit.conversion.facts.activations import _NAMES, activation_named, activation_of
from kerasvit.conversion.facts.beside import _RULES
from kerasvit.conversion.facts.facts import (
    FLAGS,
    MEANING_FACTS,
    PICTURE_FACTS,
    by_user,
    flag,
    shown_value,
    stated,
)
from kerasvit.conversion.facts.heads import alternatives
from kerasvit.conversion.proof.timm.package import prepare_torchvision
from kerasvit.errors import InputError
from kerasvit.images.rules import INTERPOLATIONS
from kerasvit.layers.primitives.activations import activation_function

# Arguments of the models, and what is said of pictures and classes.
KNOWN = {
    *(name for model in (VisionTransformer, CaiT, XCiT) for name in model.arguments),
    *PICTURE_FACTS,
    *MEANING_FACTS,
    *("image_size", "channels", "num_classes"),
}


def test_facts_are_arguments_of_the_models():
    """A misspelt one would be passed over without a word."""
    tables = {
        "timm": of_timm._SAME.values(),
        "fixed": [name for fixed in huggingface._FIXED.values() for name in fixed],
        "flags": FLAGS,
        "rules": _RULES,
    }
    for name, told in tables.items():
        assert set(told) <= KNOWN, name
    assert {name for name in FLAGS if FLAGS[name] == f"--{name.replace('_', '-')}"} >= {
        "num_heads",
        "hidden_dim",
        "patch_size",
        "pooling",
        "mean",
        "class_names",
    }


def test_keys_are_arguments_of_timms_networks(timm):
    models = timm.models
    networks = (
        models.vision_transformer.VisionTransformer,
        models.eva.Eva,
        models.cait.Cait,
        models.beit.Beit,
        models.xcit.Xcit,
    )
    theirs = {name for network in networks for name in inspect.signature(network).parameters}
    assert set(of_timm._SAME) - theirs == set()
    pools = timm.layers.pool1d.__doc__ or inspect.getsource(timm.models.vision_transformer)
    for pool in of_timm.POOLINGS:
        assert f"'{pool}'" in pools or pool == "token"


def test_each_argument_of_timms_is_stated():
    """One after the other, so that none takes the place of another."""
    for theirs, ours in of_timm._SAME.items():
        assert of_timm.of_arguments({theirs: 3}, "x") == {ours: 3}
        assert of_timm.of_arguments({theirs: None}, "x") == {}
    for arguments, facts in (
        ({"img_size": 32}, {"image_size": (32, 32)}),
        ({"img_size": [32, 48]}, {"image_size": (32, 48)}),
        ({"patch_size": 8}, {"patch_size": (8, 8)}),
        ({"patch_size": (8, 4)}, {"patch_size": (8, 4)}),
        ({"no_embed_class": True}, {"position_embedding": "patches"}),
        ({"no_embed_class": False}, {"position_embedding": "all"}),
        ({"act_layer": "gelu_tanh"}, {"activation": "gelu_tanh"}),
        ({"global_pool": "token"}, {"pooling": "class"}),
        ({"global_pool": "avg"}, {"pooling": "average"}),
        ({"global_pool": "map"}, {"pooling": "attention"}),
        ({"global_pool": "unknown", "other": 1}, {}),
    ):
        assert of_timm.of_arguments(arguments, "x") == facts


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, []),
        ({"label_names": ["a", "b"]}, ["a", "b"]),
        ({"label_names": ["a", "b"], "label_descriptions": {"b": "bee"}}, ["a", "bee"]),
        ({"label_names": {"1": "b", "0": "a"}}, ["a", "b"]),
        ({"label_names": {"1": "b", "2": "c"}}, []),
        ({"label_names": {str(index): str(index) for index in range(12)}}, [*map(str, range(12))]),
        ({"label_names": "ab"}, []),
        ({"label_names": ["a"], "label_descriptions": ["no mapping"]}, ["a"]),
    ],
)
def test_names_of_classes_of_timm(config, names):
    assert of_timm.class_names(config) == names


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (None, []),
        ({"0": "cat", "1": "dog"}, ["cat", "dog"]),
        ({1: "dog", 0: "cat"}, ["cat", "dog"]),
        ({str(index): f"n{index}" for index in reversed(range(12))}, [f"n{i}" for i in range(12)]),
        ({"0": "LABEL_0", "1": "LABEL_1"}, []),
        ({"0": "LABEL_0", "1": "dog"}, ["LABEL_0", "dog"]),
        ({"zero": "cat"}, []),
        ({None: "cat"}, []),
        (["cat"], []),
        ("cat", []),
    ],
)
def test_names_of_classes_of_transformers(labels, names):
    assert huggingface._class_names(labels) == names
    config = {"model_type": "vit", "id2label": labels}
    assert huggingface.of_config(config, "x").get("class_names", []) == names


def test_keys_are_those_of_transformers_configs():
    """What a config leaves out is what its class takes, for each type that is known."""
    prepare_torchvision()  # transformers imports it
    transformers = pytest.importorskip("transformers", minversion="5")
    for kind, defaults in huggingface.DEFAULTS.items():
        theirs = transformers.CONFIG_MAPPING[kind]().to_dict()
        assert {key: theirs[key] for key in defaults} == dict(defaults), kind
        full = huggingface.of_config({"model_type": kind}, "x")
        told = huggingface.of_config({**theirs, "model_type": kind}, "x")
        assert full.items() <= told.items()
        assert huggingface._FIXED[kind].items() <= full.items()
        assert told["hidden_dim"] == theirs["hidden_size"]
        assert told["num_layers"] == theirs["num_hidden_layers"]
        assert told["num_heads"] == theirs["num_attention_heads"]
        assert told["channels"] == theirs["num_channels"]
        assert told["patch_size"] == (theirs["patch_size"],) * 2


def test_a_config_of_transformers_says_what_it_says():
    config = {
        "model_type": "dinov2_with_registers",
        "num_attention_heads": 5,
        "hidden_size": 40,
        "num_hidden_layers": 2,
        "hidden_act": "relu",
        "layer_norm_eps": 1e-3,
        "image_size": [32, 48],
        "patch_size": 8,
        "num_channels": 4,
        "num_register_tokens": 3,
        "problem_type": "regression",
    }
    expected = {
        "num_heads": 5,
        "hidden_dim": 40,
        "num_layers": 2,
        "activation": "relu",
        "layer_norm_epsilon": 1e-3,
        "image_size": (32, 48),
        "patch_size": (8, 8),
        "channels": 4,
        "num_registers": 3,
        "problem_type": "regression",
        "pooling": "class",
        "position_embedding": "patches",
    }
    assert huggingface.of_config(config, "x") == expected
    gated = huggingface.of_config({**config, "use_swiglu_ffn": True}, "x")
    assert gated == {**expected, "activation": "silu"}
    del config["num_register_tokens"]
    assert "num_registers" not in huggingface.of_config(config, "x")
    for theta, temperature in ((100.0, None), (50.0, 50.0)):
        told = huggingface.of_config({"model_type": "dinov3_vit", "rope_theta": theta}, "x")
        assert told["rope_temperature"] == temperature
    nested = huggingface.vision_config({"model_type": "siglip", "vision_config": {"a": 1}})
    assert nested == {"model_type": "siglip_vision_model", "a": 1}
    assert huggingface.vision_config({"model_type": "bert", "vision_config": {}}) is None
    assert huggingface.vision_config({"model_type": "clip", "vision_config": 3}) is None


MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
NORMALISED = {"mean": tuple(MEAN), "std": tuple(STD)}


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({}, {}),
        ({"size": 32}, {"input_size": (32, 32), "crop_fraction": 1.0, "crop_mode": "squash"}),
        (
            {"size": {"height": 32, "width": 48}},
            {"input_size": (32, 48), "crop_fraction": 1.0, "crop_mode": "squash"},
        ),
        (
            {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
            {"input_size": (32, 32), "crop_fraction": 0.8, "crop_mode": "center"},
        ),
        (
            {"size": {"shortest_edge": 40}, "crop_size": 32, "do_center_crop": False},
            {"input_size": (40, 40), "crop_fraction": 1.0, "crop_mode": "center"},
        ),
        (
            {"size": [40, 50], "crop_size": [20, 30], "do_center_crop": True},
            {"input_size": (20, 30), "crop_fraction": 0.5, "crop_mode": "squash"},
        ),
        (
            {"size": 20, "crop_size": 40},
            {"input_size": (40, 40), "crop_fraction": 1.0, "crop_mode": "squash"},
        ),
        (
            {"size": 20, "do_center_crop": True},
            {"input_size": (20, 20), "crop_fraction": 1.0, "crop_mode": "squash"},
        ),
        ({"size": 32, "do_resize": False}, {}),
        ({"size": {"longest_edge": 32}}, {}),
        ({"size": [1, 2, 3]}, {}),
        ({"resample": 0}, {"interpolation": "nearest"}),
        ({"resample": 2}, {"interpolation": "bilinear"}),
        ({"resample": 3}, {"interpolation": "bicubic"}),
        ({"resample": 5}, {"interpolation": "hamming"}),
        ({"resample": 6}, {}),
        ({"resample": -1}, {}),
        ({"resample": "x"}, {}),
        ({"image_mean": MEAN, "image_std": STD}, NORMALISED),
        ({"image_mean": MEAN}, {}),
        ({"image_std": STD, "do_normalize": True}, {}),
        (
            {"image_mean": MEAN, "image_std": STD, "do_normalize": False},
            {"mean": (0.0,) * 3, "std": (1.0,) * 3},
        ),
    ],
)
def test_a_preprocessor_of_transformers(config, facts):
    assert pictures.of_preprocessor(config) == facts


def test_numbers_of_filters_are_pillows():
    from PIL import Image

    for number, name in enumerate(pictures._FILTERS):
        assert Image.Resampling[name.upper()] == number


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({}, {}),
        ({"input_size": [3, 32, 48]}, {"input_size": (32, 48)}),
        ({"input_size": [32, 48]}, {}),
        ({"input_size": 32}, {}),
        ({"mean": MEAN, "std": STD}, NORMALISED),
        ({"crop_pct": 0.9, "crop_mode": "border"}, {"crop_fraction": 0.9, "crop_mode": "border"}),
        *(({"interpolation": name}, {"interpolation": name}) for name in INTERPOLATIONS),
        ({"interpolation": "random"}, {}),
    ],
)
def test_a_pretrained_cfg_of_timm(config, facts):
    assert pictures.of_pretrained_cfg(config) == facts


def test_names_of_activations_are_ours_and_mean_what_they_compute():
    """Against the classes of torch and transformers, by their values."""
    import numpy as np
    import torch
    from keras import ops
    from transformers.activations import ACT2FN

    values = np.linspace(-4, 4, 41, dtype="float32")
    known = [name for name in _NAMES if name in ACT2FN]
    assert len(known) >= 10
    for name in known:
        function = ACT2FN[name]
        expected = function(torch.from_numpy(values)).numpy()
        for ours in (activation_named(name.upper(), "x"), activation_of(function, "x")):
            found = ops.convert_to_numpy(activation_function(ours)(ops.convert_to_tensor(values)))
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
    assert activation_of(torch.nn.GELU("tanh"), "x") == "gelu_tanh"
    assert activation_of(torch.nn.GELU(), "x") == "gelu"
    assert activation_of(torch.nn.functional.silu, "x") == "silu"
    with pytest.raises(InputError, match=r"one of gelu, .*Received: 'Tanh' \(a file\)"):
        activation_of(torch.nn.Tanh(), "a file")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12, "12"),
        (1e-6, "1e-06"),
        (0.5, "0.5"),
        ("gelu", "gelu"),
        ((32, 48), "32x48"),
        ([0.1, 0.25, 0.5], "0.1, 0.25, 0.5"),
        (["a", "b", "c", "d"], "a, b, c, d"),
        (["a", "b", "c", "d", "e"], "5 values"),
    ],
)
def test_values_are_shown_in_a_few_words(value, shown):
    assert shown_value(value) == shown
    assert stated("x", {"mean": value})["mean"].shown == f"{shown} (x)"
    if isinstance(value, tuple):
        assert flag("patch_size", value) == "--patch-size 32 48"
        assert flag("rope_reference_grid", value) == "--set rope_reference_grid=32 48"
    assert flag("num_heads") == "--num-heads"
    assert flag("rope_type") == "--set rope_type=VALUE"


def test_facts_are_a_mapping_of_the_strongest():
    facts = stated("a", {"num_heads": 3, "mean": (0.5, 0.25)}) | by_user(
        {"num_heads": 6, "std": None}
    )
    assert dict(facts.values_by_name()) == {"num_heads": 6, "mean": (0.5, 0.25)}
    assert facts.to_record() == {
        "num_heads": {"value": 6, "origin": "--num-heads"},
        "mean": {"value": [0.5, 0.25], "origin": "a"},
    }
    assert [fact.value for fact in facts.overruled("num_heads")] == [3]
    assert facts.overruled("mean") == []
    assert len(facts) == 2
    assert [*facts.among(["mean"])] == ["mean"]
    assert [*facts.without(["mean"])] == ["num_heads"]
    assert facts.value("mean") == (0.5, 0.25)
    assert facts.value("depth") is None
    assert facts.value("depth", 7) == 7
    assert re.search(r"num_heads=3 \(a\)", repr(facts))


def test_numbers_of_heads_that_occur():
    assert alternatives(192, "vit") == (3, 12)
    assert alternatives(384, "vit") == (6, 12)
    assert 12 not in alternatives(192, "cait")
    assert alternatives(7, "vit") == ()


def _rope(kind, **settings):
    """A module of timm's whose rotary positions have these settings."""
    return types.SimpleNamespace(rope=type(kind, (), settings)())


CAT = {"in_pixels": False, "rotate_half": False, "temperature": 10000.0, "grid_offset": 0.0}
DINOV3 = {"rotate_half": True, "grid_indexing": "ij", "normalize_coords": "separate"}
DINOV3 |= {"grid_offset": 0.0, "periods": [1.0, 3.0], "temperature": 100.0}


@pytest.mark.parametrize(
    ("kind", "settings", "changes"),
    [
        (
            "RotaryEmbeddingMixed",
            {"grid_indexing": "xy", "temperature": 10.0},
            {"grid_indexing": "ij"},
        ),
        ("RotaryEmbeddingDinoV3", DINOV3, {"rotate_half": False}),
        ("RotaryEmbeddingDinoV3", DINOV3, {"grid_indexing": "xy"}),
        ("RotaryEmbeddingDinoV3", DINOV3, {"normalize_coords": "max"}),
        ("RotaryEmbeddingDinoV3", DINOV3, {"grid_offset": 0.5}),
        ("RotaryEmbeddingCat", {**CAT, "ref_feat_shape": None}, {"in_pixels": True}),
        ("RotaryEmbeddingCat", {**CAT, "ref_feat_shape": None}, {"rotate_half": True}),
    ],
)
def test_rotary_positions_that_no_rule_turns(kind, settings, changes):
    assert rotary.of_timm(_rope(kind, **settings))["rope_type"]
    with pytest.raises(InputError, match=f"Received: a {kind} with other"):
        rotary.of_timm(_rope(kind, **{**settings, **changes}))
