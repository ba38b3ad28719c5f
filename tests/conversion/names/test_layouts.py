"""Files of other sources against what their own networks computed: `tests/golden/layouts.py`."""

import pathlib

import numpy as np
import pytest
from keras import ops

from kerasvit.conversion import convert
from kerasvit.conversion.architecture.detected import detect
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.rules import assign
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError
from kerasvit.models.vit.model import VisionTransformer

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
CLIP = {"activation": "quick_gelu", "image_shape": (16, 16, 3)}
SIGLIP = {"activation": "gelu_tanh", "image_shape": (16, 16, 3)}
PLAIN = {"image_shape": (16, 16, 3)}

# What the file's config or the user says; the rest comes from the tensors and the layout.
CASES = {
    "clip": ("huggingface_tower", CLIP),
    "clip_projection": ("huggingface_tower", CLIP),
    "clip_classifier": ("huggingface_tower", CLIP),
    "siglip": ("huggingface_tower", SIGLIP),
    "siglip_classifier": ("huggingface_tower", SIGLIP),
    "deit_one_classifier": ("huggingface", {**PLAIN, "layer_norm_epsilon": 1e-12}),
    "torchvision": ("torchvision", PLAIN),
    "open_clip": ("clip", PLAIN),
    "open_clip_quick": ("clip", CLIP),
    "open_clip_timm": ("open_clip", PLAIN),
    "monai": ("monai", {"image_shape": (16, 16, 2)}),
    "monai_biased": ("monai", {"image_shape": (16, 16, 2)}),
    "mmpretrain": ("mmpretrain", PLAIN),
    "mmpretrain_scaled": ("mmpretrain", PLAIN),
}


def golden(name):
    with np.load(GOLDEN / f"layout_{name}.npz") as arrays:
        return dict(arrays)


def stored(arrays):
    return {key.removeprefix("file/"): arrays[key] for key in arrays if key.startswith("file/")}


def opened(state):
    return in_timm_names(unwrap(open_checkpoint(state)))


def filled(checkpoint, arguments):
    detected = detect(checkpoint)
    structure = {
        **detected.structure,
        "num_classes": detected.num_classes,
        # 4x4 patches
        "position_embedding": {n: kind for kind, n in detected.patches_by_kind.items()}[16],
        "layer_scale_init_value": 1.0 if detected.has_layer_scale else None,
        "num_heads": 3,
    }
    model = VisionTransformer(**{**structure, **checkpoint.arguments, **arguments})
    assign(model, checkpoint, detected.layout)
    return model


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_its_own_network(name):
    arrays = golden(name)
    layout, arguments = CASES[name]
    checkpoint = opened(stored(arrays))
    assert checkpoint.layout == layout
    logits = ops.convert_to_numpy(filled(checkpoint, arguments)(arrays["images"])[0])
    expected = arrays["logits"]
    if name == "clip_projection" or name.startswith("open_clip"):
        # The embedding is not normalised here.
        assert logits.shape == expected.shape
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_is_converted_when_its_heads_are_said(name):
    arrays = golden(name)
    model = convert(stored(arrays), num_heads=3, **CASES[name][1]).model
    logits, expected = ops.convert_to_numpy(model(arrays["images"])[0]), arrays["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_below_any_wrapper_and_prefix(name):
    state = stored(golden(name))
    plain = opened(state)
    wrapped = opened(
        {
            "model_state_dict": {f"module.net.{key}": value for key, value in state.items()},
            "epoch": 1,
        }
    )
    assert wrapped.layout == plain.layout
    assert wrapped.arguments == plain.arguments
    assert wrapped.names == plain.names
    for key in plain.names:
        np.testing.assert_array_equal(wrapped[key], plain[key])


@pytest.mark.parametrize("name", CASES)
def test_a_tensor_that_nobody_knows_is_named(name):
    state = stored(golden(name))
    marked = next(key for key in state if "norm" in key or "ln_1" in key or "ln1" in key)
    prefix = marked[: marked.rindex(".")]
    checkpoint = opened({**state, f"{prefix}.adapter": np.ones(3, "float32")})
    with pytest.raises(InputError, match=r"left over 1 \(.*adapter"):
        filled(checkpoint, CASES[name][1])


def test_openais_own_files_say_their_activation():
    state = stored(golden("open_clip_quick"))
    assert "activation" not in opened(state).arguments
    openais = {**state, "context_length": np.array(77), "input_resolution": np.array(224)}
    assert opened(openais).arguments["activation"] == "quick_gelu"


def test_the_tower_alone_is_the_tower_of_both():
    state = stored(golden("open_clip"))
    tower = {key.removeprefix("visual."): state[key] for key in state if key.startswith("visual.")}
    assert opened(tower).names == opened(state).names
    state = stored(golden("clip_projection"))
    tower = {
        key.removeprefix("vision_model."): state[key] for key in state if "projection" not in key
    }
    assert set(opened(tower).names) == set(opened(state).names) - {"head.weight", "head.bias"}


def test_torchvisions_old_names_and_other_heads():
    state = stored(golden("torchvision"))
    expected = opened(state)
    old = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for key, value in state.items()
    }
    for other in ("heads.", "heads.0.", "heads.head."):
        renamed = {key.replace("heads.head.", other): value for key, value in old.items()}
        assert sorted(opened(renamed).names) == sorted(expected.names)


def test_a_representation_layer_is_refused_until_no_head_is_wanted():
    state = {
        **stored(golden("torchvision")),
        "heads.pre_logits.weight": np.ones((12, 12), "float32"),
        "heads.pre_logits.bias": np.ones(12, "float32"),
    }
    with pytest.raises(InputError, match="--num-classes 0"):
        filled(opened(state), PLAIN)
