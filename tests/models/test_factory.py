"""Names of models: which there are, what the upstream ones mean, what overrides do."""

import pytest

from kerasvit.errors import UsageError
from kerasvit.models import CaiT, VisionTransformer, create_model, factory, list_models

OWN = {
    "cait_nano_patch4_32",
    "vit_nano_patch4_32",
    "xcit_nano_patch4_32",
    "vit_large_plus_patch16_dinov3_qkvb",  # Meta's ViT-L+, which timm lacks
}


def test_only_our_own_models_are_unknown_to_timm(timm):
    assert set(list_models()) - set(timm.list_models()) == OWN


def test_names_are_sorted_unique_and_filtered():
    names = list_models()
    assert names == sorted(set(names))
    assert list_models("cait*") == [name for name in names if name.startswith("cait")]
    assert len(list_models("cait*")) == 11
    assert list_models("nothing*") == []
    assert not set(factory.aliases()) & set(names)


def test_an_alias_is_its_variant_with_the_sources_arguments():
    for alias, name in factory.aliases().items():
        assert factory.canonical_name(alias) == name
        model_type, arguments = factory.variant(alias)
        assert factory.variant(name)[0] is model_type
        assert set(arguments) <= set(model_type.arguments)
    assert factory.canonical_name("cait_m36_384") == "cait_m36_384"


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("dino_vits8", {"hidden_dim": 384, "patch_size": 8, "num_classes": 0}),
        ("dino_vitb16", {"hidden_dim": 768, "patch_size": 16, "num_classes": 0}),
        ("dino_vits16", {"position_resampling": "bicubic_offset"}),
        ("dinov2_vits14", {"position_resampling": "bicubic_offset", "image_shape": (518, 518, 3)}),
        ("dinov2_vitg14", {"mlp_type": "gated", "activation": "silu", "hidden_dim": 1536}),
        ("dinov2_vitl14_reg", {"num_registers": 4, "position_resampling": "bicubic_antialias"}),
        ("cait_XXS24", {"image_shape": (384, 384, 3), "layer_scale_init_value": 1e-5}),
        ("cait_M48", {"image_shape": (448, 448, 3), "layer_scale_init_value": 1e-6}),
    ],
)
def test_what_the_upstream_names_mean(alias, expected):
    _, arguments = factory.variant(alias)
    assert {name: arguments[name] for name in expected} == expected


def test_overrides_reach_the_model(tools):
    model = create_model(
        "cait_xxs24_224",
        num_layers=1,
        hidden_dim=12,
        num_heads=3,
        mlp_dim=20,
        image_shape=(32, 48, 3),
        num_classes=10,
        attention="cls",
        name="mine",
        dtype="mixed_bfloat16",
    )
    assert type(model) is CaiT
    assert (model.name, model.compute_dtype) == ("mine", "bfloat16")
    logits, sa_scores, ca_scores = model(tools.random_images(2, 32, 48))
    assert tuple(logits.shape) == (2, 10)
    assert sa_scores == {}
    assert tuple(ca_scores["ca_ffn_block_01_att"].shape) == (2, 3, 1, 7)


def test_a_model_is_named_after_its_variant():
    model = create_model(
        "vit_tiny_patch16_224", num_layers=1, hidden_dim=12, mlp_dim=20, image_shape=32
    )
    assert type(model) is VisionTransformer
    assert model.name == "vit_tiny_patch16_224"
    assert model.image_shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("cait_xxs24_22", {}, "Did you mean cait_xxs24_224"),
        ("nothing like it", {}, "No model has this name"),
        ("", {}, "No model has this name"),
        ("cait_xxs24_224", {"use_qk_norm": True}, "CaiT has no argument 'use_qk_norm'"),
        ("vit_tiny_patch16_224", {"depth": 3}, "has no argument 'depth'"),
    ],
)
def test_a_wrong_name_or_argument_is_answered_in_one_line(name, overrides, message):
    with pytest.raises(UsageError, match=message) as error:
        create_model(name, **overrides)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
