"""The way back to PyTorch: names, values, and files that timm loads with strict=True."""

import functools

import numpy as np
import pytest
import safetensors
import torch
from keras import ops

import kerasvit
from kerasvit.conversion import convert, export_weights
from kerasvit.conversion.export import tensors_of
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.rules import variables_by_path
from kerasvit.conversion.proof.timm.modules import timm_module
from kerasvit.errors import InputError, OutputError, UsageError

SIZES = {"hidden_dim": 24, "num_layers": 2, "num_heads": 3, "mlp_dim": 96, "num_classes": 5}
MODELS = {
    "vit_small_patch16_224": "timm",
    "vit_base_patch16_siglip_224": "timm",
    "vit_small_patch16_18x2_224": "timm",
    "vit_base_patch16_xp_224": "timm",
    "vit_dwee_patch16_reg1_gap_256": "timm",
    "aimv2_large_patch14_224": "timm",
    "deit_small_distilled_patch16_224": "deit",
    "deit3_small_patch16_224": "deit3",
    "vit_small_patch14_dinov2": "dinov2",
    "vit_small_patch14_reg4_dinov2": "dinov2",
    "vit_giant_patch14_reg4_dinov2": "dinov2",
    "cait_xxs24_224": "cait",
}


def _model(name, **arguments):
    """Return a small model of this name whose every weight is away from its start."""
    _, variant = kerasvit.models.factory.variant(name)
    side = 3 * variant["patch_size"]
    model = kerasvit.create_model(name, **{"image_shape": (side, side, 3), **SIZES, **arguments})
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(0.1, 0.3, variable.shape).astype("float32"))
    return model


def _assert_same(model, other):
    ours, theirs = variables_by_path(model), variables_by_path(other)
    assert set(ours) == set(theirs)
    for path, variable in ours.items():
        pair = (ops.convert_to_numpy(one) for one in (variable, theirs[path]))
        assert np.array_equal(*pair), path


def _arguments(name):
    return {
        "model": name,
        "verify": False,
        **{k: v for k, v in SIZES.items() if k != "num_classes"},
    }


@pytest.mark.parametrize(("name", "layout"), MODELS.items())
def test_converting_the_export_gives_the_same_weights(tmp_path, name, layout):
    model = _model(name)
    for number, chosen in enumerate(dict.fromkeys(["timm", layout])):
        path = export_weights(model, tmp_path / f"{number}.safetensors", chosen)
        result = convert(path, **_arguments(name))
        _assert_same(model, result.model)


@pytest.mark.parametrize("name", MODELS)
def test_timm_loads_it_and_computes_the_same(timm, tmp_path, name):
    model = _model(name)
    path = export_weights(model, tmp_path / "weights.pth")
    side = model.image_shape[0]
    module = timm.create_model(
        name, img_size=side, num_classes=5, **timm_module(model).arguments()
    ).eval()
    module.load_state_dict(torch.load(path, weights_only=True), strict=True)
    images = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype("float32")
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    logits = ops.convert_to_numpy(model.with_attention("none")(images)[0])
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_the_file_says_whose_it_is(tmp_path):
    path = export_weights(_model("deit3_small_patch16_224"), tmp_path / "a.safetensors", "deit3")
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata()["format"] == "pt"
        assert file.metadata()["model"] == "deit3_small_patch16_224"
        assert "blocks.1.gamma_2" in file.keys()  # noqa: SIM118
        assert file.get_tensor("head.weight").dtype == np.float32


def test_names_of_the_publishers():
    cases = {
        ("vit_small_patch14_reg4_dinov2", "dinov2"): {"register_tokens", "mask_token"},
        ("vit_giant_patch14_dinov2", "dinov2"): {"blocks.0.mlp.w12.weight", "mask_token"},
        ("vit_small_patch14_reg4_dinov2", "timm"): {"reg_token", "blocks.0.ls1.gamma"},
        ("vit_base_patch16_gap_224", "timm"): {"norm.weight"},
        ("vit_small_patch16_224", "dino"): {"norm.weight", "cls_token"},
    }
    for (name, layout), names in cases.items():
        assert names <= set(tensors_of(_model(name), layout)), (name, layout)


@pytest.mark.backend
def test_half_precision_weights_are_written_exactly(tmp_path):
    model = kerasvit.create_model(
        "vit_small_patch16_224", image_shape=(32, 32, 3), dtype="bfloat16", **SIZES
    )
    checkpoint = open_checkpoint(export_weights(model, tmp_path / "a.safetensors"))
    kernel = ops.convert_to_numpy(ops.cast(model.head.kernel, "float32"))
    np.testing.assert_array_equal(checkpoint["head.weight"], kernel.T)


@pytest.mark.parametrize(
    ("name", "layout", "words"),
    [
        ("vit_small_patch16_224", "augreg", "timm, dino, deit"),
        ("vit_small_patch16_224", "cait", "CaiT alone"),
        ("cait_xxs24_224", "dino", "ViT alone"),
        ("vit_small_patch16_224", "deit3", "LayerScale|position_embedding"),
        ("deit_small_distilled_patch16_224", "dino", "use_distillation_token"),
        ("vit_small_patch14_reg4_dinov2", "dino", "num_registers"),
        ("eva_large_patch14_196", "dino", "pooling"),
    ],
)
def test_a_layout_without_names_for_the_model_is_refused(name, layout, words):
    with pytest.raises(UsageError, match=words):
        tensors_of(_model(name), layout)


def test_a_head_that_no_code_has_is_refused():
    with pytest.raises(UsageError, match="several blocks"):
        tensors_of(_model("vit_small_patch16_224", head_blocks=2))


def test_weights_that_no_layout_names_are_refused():
    model = _model("vit_small_patch16_224")
    model.head.enable_lora(2)
    with pytest.raises(InputError, match="lora"):
        tensors_of(model)


def test_an_existing_file_is_kept_and_a_wrong_suffix_refused(tmp_path):
    model = _model("vit_small_patch16_224")
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        export_weights(model, path)
    model.norm.gamma.assign(np.full(24, np.nan, "float32"))
    with pytest.raises(InputError, match=r"'norm\.weight'"):
        export_weights(model, path, overwrite=True)
    assert path.read_bytes() == b"old"
    with pytest.raises(UsageError, match="safetensors"):
        export_weights(model, tmp_path / "a.h5")
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_two_exports_are_equal_bytes(tmp_path):
    model = _model("vit_small_patch16_224")
    files = [export_weights(model, tmp_path / f"{name}.safetensors") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


CALLS = {
    "ViT": ("vit", {"mlp_type": "gated", "activation": "silu", "use_qk_norm": True}),
    "distilled": ("vit", {"use_distillation_token": True, "layer_norm_epsilon": 1e-3}),
    "EVA": ("vit", {"rope_type": "eva02", "mlp_type": "gated", "activation": "silu"}),
    "RMS": ("vit", {"rope_type": "dinov3", "position_embedding": "none", "norm_type": "rms"}),
    "BEiT": ("vit", {"use_relative_position_bias": True, "use_key_bias": False}),
    "CaiT": ("cait", {"activation": "relu", "num_class_layers": 1}),
    "XCiT": ("xcit", {"activation": "quick_gelu", "num_class_layers": 1, "use_tokens_norm": True}),
}
CLASSES = {"vit": kerasvit.VisionTransformer, "cait": kerasvit.CaiT, "xcit": kerasvit.XCiT}


@pytest.mark.parametrize("kind", CALLS)
def test_the_printed_call_makes_timms_model_of_a_model_without_a_name(timm, tmp_path, kind):
    family, arguments = CALLS[kind]
    model = CLASSES[family](image_shape=(48, 48, 3), patch_size=16, **SIZES, **arguments)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(np.abs(random.normal(0.1, 0.2, variable.shape)).astype("float32"))
    path = export_weights(model, tmp_path / "weights.pth")
    module = eval(timm_module(model).call(), {"timm": timm, "functools": functools}).eval()
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state, strict=True)
    images = random.normal(size=(2, 48, 48, 3)).astype("float32")
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    logits = ops.convert_to_numpy(model.with_attention("none")(images)[0])
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
