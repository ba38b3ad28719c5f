"""Checkpoints of Hugging Face's transformers against what transformers computed with them."""

import pathlib

import numpy as np
import pytest
from keras import ops

import kerasvit
from kerasvit.conversion.architecture.detected import detect
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.rules import assign
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
SIZES = {
    "image_shape": (16, 16, 3),
    "patch_size": 4,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
}
PLAIN = {**SIZES, "mlp_dim": 20, "layer_norm_epsilon": 1e-12}
DINOV2 = {**SIZES, "mlp_dim": 24, "layer_scale_init_value": 1.0}
IJEPA = {"use_class_token": False, "pooling": "average", "norm_after_pooling": False}
CASES = [
    ("vit", "file", {**PLAIN, "num_classes": 5}),
    ("vit", "memory", {**PLAIN, "num_classes": 5}),
    ("vit_features", "file", PLAIN),
    ("vit_msn", "file", {**PLAIN, "layer_norm_epsilon": 1e-6}),
    ("deit", "file", {**PLAIN, "num_classes": 5, "use_distillation_token": True}),
    ("dinov2", "file", DINOV2),
    ("dinov2_classifier", "file", {**DINOV2, "num_classes": 5}),
    ("dinov2_gated", "file", {**DINOV2, "mlp_dim": 16, "mlp_type": "gated", "activation": "silu"}),
    (
        "dinov2_gated",
        "memory",
        {**DINOV2, "mlp_dim": 16, "mlp_type": "gated", "activation": "silu"},
    ),
    ("dinov2_registers", "file", {**DINOV2, "num_registers": 3, "position_embedding": "patches"}),
    ("ijepa", "file", {**PLAIN, **IJEPA, "num_classes": 5}),
]


def _golden(name):
    with np.load(GOLDEN / f"huggingface_{name}.npz") as arrays:
        return dict(arrays)


def _state(golden, kind="file"):
    return {key[len(kind) + 1 :]: golden[key] for key in golden if key.startswith(f"{kind}/")}


def _model(checkpoint, arguments):
    model = kerasvit.VisionTransformer(**{"num_classes": 0, **arguments, **checkpoint.arguments})
    assign(model, checkpoint, detect(checkpoint).layout)
    return model


@pytest.mark.parametrize(("name", "kind", "arguments"), CASES)
def test_agrees_with_transformers(name, kind, arguments):
    golden = _golden(name)
    checkpoint = in_timm_names(unwrap(_state(golden, kind)))
    assert checkpoint.layout == "huggingface"
    model = _model(checkpoint, arguments)
    hidden = ops.convert_to_numpy(model.forward_features(golden["images"]))
    np.testing.assert_allclose(hidden, golden["hidden"], atol=1e-5)
    logits, scores, _ = model(golden["images"])
    if "logits" in golden:
        np.testing.assert_allclose(ops.convert_to_numpy(logits), golden["logits"], atol=1e-5)
    for index in range(2):
        score = ops.convert_to_numpy(scores[f"sa_ffn_block_{index:02d}_att"])
        np.testing.assert_allclose(score, golden[f"scores/{index}"], atol=1e-6)


def test_the_pooler_and_the_mask_token_are_dropped_for_a_reason():
    for name, dropped in (("vit_features", "pooler.dense.weight"), ("dinov2", "mask_token")):
        checkpoint = in_timm_names(unwrap(_state(_golden(name))))
        assert [key for key in checkpoint.dropped if key.endswith(dropped)]
        assert not [key for key in checkpoint.names if "pooler" in key or "mask_token" in key]


def test_other_names_pass_unchanged():
    state = {"cls_token": np.ones((1, 1, 3)), "blocks.0.norm1.weight": np.ones(3)}
    checkpoint = open_checkpoint(state)
    assert in_timm_names(checkpoint) is checkpoint


def test_a_missing_part_and_an_unknown_tensor_are_both_named():
    state = _state(_golden("vit"))
    del state["vit.encoder.layer.1.attention.attention.key.bias"]
    state["vit.encoder.layer.1.adapter.weight"] = np.ones(3, "float32")
    with pytest.raises(InputError) as caught:
        _model(in_timm_names(unwrap(state)), {**PLAIN, "num_classes": 5})
    for words in (
        "missing 1 (blocks.1.attn.qkv.bias)",
        "1.attention.attention.query.bias",
        "adapter",
    ):
        assert words in str(caught.value)


def test_a_tensor_under_an_old_and_a_new_name_is_refused():
    state = _state(_golden("vit"))
    state["vit.layers.0.mlp.fc1.bias"] = state["vit.encoder.layer.0.intermediate.dense.bias"]
    with pytest.raises(InputError, match="twice"):
        in_timm_names(unwrap(state))


def test_a_bad_value_and_parts_that_do_not_fit_are_named_as_in_the_file():
    name = "vit.encoder.layer.0.attention.attention.value.weight"
    state = _state(_golden("vit"))
    state[name] = np.full((12, 12), np.nan, "float32")
    with pytest.raises(InputError, match=name):
        in_timm_names(unwrap(state))["blocks.0.attn.qkv.weight"]
    state[name] = np.ones((12, 11), "float32")
    with pytest.raises(InputError, match=name):
        in_timm_names(unwrap(state))
    state[name] = np.ones((12, 12), "int8")
    with pytest.raises(InputError, match="int8"):
        in_timm_names(unwrap(state))["blocks.0.attn.qkv.weight"]
