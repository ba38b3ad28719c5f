import collections

import pytest
from modules import without_memory

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.models.opening.without_values import without_values
from kerasvit.training.finetuning.layer_decay import layer_wise_rates

TINY = {"image_shape": (16, 16, 3), "patch_size": 8, "hidden_dim": 16, "num_heads": 2}


def _vit(**arguments):
    settings = {**TINY, "num_layers": 3, "mlp_dim": 32, "num_classes": 5, **arguments}
    return kerasvit.VisionTransformer(**settings)


def _cait():
    return kerasvit.CaiT(**TINY, num_layers=3, num_class_layers=2, mlp_dim=32, num_classes=5)


def _sizes(pairs):
    """Return how many numbers have each factor."""
    sizes = collections.Counter()
    for factor, size in pairs:
        sizes[round(factor, 9)] += size
    return dict(sizes)


def _ours(model, decay):
    rates = layer_wise_rates(model, decay)
    return _sizes((rates[weight.path], _count(weight.shape)) for weight in model.weights)


def _count(shape):
    product = 1
    for side in shape:
        product *= side
    return product


@pytest.mark.parametrize("pooling", ["class", "average"])
def test_a_vit_has_the_factors_of_timm(timm, pooling):
    from timm.models.vision_transformer import VisionTransformer
    from timm.optim import param_groups_layer_decay

    # timm's fc_norm has no place in its groups, and so the head's.
    arguments = {"class": {"global_pool": "token"}, "average": {"global_pool": "avg"}}[pooling]
    theirs = VisionTransformer(
        img_size=16,
        patch_size=8,
        embed_dim=16,
        depth=3,
        num_heads=2,
        mlp_ratio=2,
        num_classes=5,
        **arguments,
    )
    groups = param_groups_layer_decay(theirs, layer_decay=0.75)
    expected = _sizes(
        (group["lr_scale"], parameter.numel()) for group in groups for parameter in group["params"]
    )
    assert _ours(_vit(pooling=pooling), 0.75) == expected


def test_every_weight_has_a_factor_by_depth():
    model = _cait()
    rates = layer_wise_rates(model, 0.5)
    assert set(rates) == {weight.path for weight in model.weights}
    by_layer = {path.split("/")[1]: rate for path, rate in rates.items()}
    # Three self-attention blocks, then two class-attention blocks, then the head.
    assert by_layer == {
        "patch_embedding": 0.5**6,
        "position_embedding": 0.5**6,
        "class_token": 0.5**6,
        "sa_ffn_block_00": 0.5**5,
        "sa_ffn_block_01": 0.5**4,
        "sa_ffn_block_02": 0.5**3,
        "ca_ffn_block_00": 0.5**2,
        "ca_ffn_block_01": 0.5,
        "norm": 0.5,
        "head": 1.0,
    }


@pytest.mark.parametrize(
    "name",
    [
        "beit_base_patch16_224",
        "eva02_base_patch14_224",
        "vit_small_patch16_dinov3",
        "vit_pe_core_base_patch16_224",
        "vit_small_patch16_rope_mixed_ape_224",
        "xcit_nano_12_p16_224",
    ],
)
def test_the_newer_families_have_the_factors_of_timm(timm, name):
    from timm.optim import param_groups_layer_decay

    with without_memory():
        theirs = timm.create_model(name, num_classes=5, depth=2)
    groups = param_groups_layer_decay(theirs, layer_decay=0.75, no_weight_decay_list=())
    # timm's groups have no place for learned frequencies, and so the head's; here they learn as
    # other positions do.
    lowest = min(group["lr_scale"] for group in groups)
    frequencies = {id(p) for name, p in theirs.named_parameters() if name == "rope.freqs"}
    expected = _sizes(
        (lowest if id(parameter) in frequencies else group["lr_scale"], parameter.numel())
        for group in groups
        for parameter in group["params"]
    )
    model = without_values(lambda: kerasvit.create_model(name, num_classes=5, num_layers=2))
    rates = layer_wise_rates(model, 0.75)
    assert set(rates) == {weight.path for weight in model.weights}
    trained = [(rates[weight.path], _count(weight.shape)) for weight in model.trainable_weights]
    assert _sizes(trained) == expected


def test_distilled_and_pooled_heads_learn_at_the_full_rate():
    distilled = layer_wise_rates(_vit(use_distillation_token=True), 0.5)
    assert {r for path, r in distilled.items() if "head/" in path} == {1.0}
    assert {r for path, r in distilled.items() if "token/" in path} == {0.5**4}
    pooled = layer_wise_rates(_vit(pooling="attention", use_class_token=False), 0.5)
    assert {r for path, r in pooled.items() if "ca_pooling_block_00" in path} == {1.0}
    assert {r for path, r in pooled.items() if "sa_ffn_block_02" in path} == {0.5}


def test_one_is_one_everywhere_and_other_values_are_refused():
    model = _vit()
    assert set(layer_wise_rates(model, 1.0).values()) == {1.0}
    for decay in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(UsageError, match="layer_decay lies in"):
            layer_wise_rates(model, decay)
