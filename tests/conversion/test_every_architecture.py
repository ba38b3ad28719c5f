"""Every architecture of timm's ViT, DeiT, EVA, CaiT and XCiT modules: small parity, full shapes.

The parity test runs timm's own architecture by its own name, made narrow and shallow: on PyTorch,
one of each family on the other backends. The other test makes both at full size without allocating
a weight, and compares shapes and what shapes hide. Of architectures that differ in sizes alone the
first one runs; all of them with

    KERAS_BACKEND=torch python -m pytest --broad tests/conversion/test_every_architecture.py
"""

import contextlib

import numpy as np
import pytest
from breadth import spread
from modules import without_memory

from kerasvit import create_model, list_models
from kerasvit.conversion import convert
from kerasvit.conversion.architecture.detected import detect
from kerasvit.conversion.architecture.fitting import left_out
from kerasvit.conversion.architecture.resolving import resolve
from kerasvit.conversion.export import tensors_of
from kerasvit.conversion.facts import rotary
from kerasvit.conversion.facts.facts import by_user
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.rules import prove
from kerasvit.conversion.proof.parity import FEATURE_TOLERANCE, SCORE_TOLERANCE, compare
from kerasvit.conversion.proof.timm.model import TimmReference
from kerasvit.conversion.proof.timm.modules import timm_module
from kerasvit.conversion.proof.timm.modules.base import OWN_NAMES
from kerasvit.models import factory
from kerasvit.models.opening.without_values import without_values

NAMES = [name for name in list_models() if not any(own in name for own in OWN_NAMES)]
# One of each family, for every backend.
FAMILIES = {
    "beitv2_base_patch16_224",
    "cait_xxs24_224",
    "deit3_small_patch16_224",
    "deit_small_distilled_patch16_224",
    "vit_base_patch16_siglip_224",
    "vit_small_patch14_reg4_dinov2",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
    "eva02_base_patch16_clip_224",
    "vit_huge_plus_patch16_dinov3_qkvb",
    "vit_large_patch16_sapiens2",
    "vit_small_patch16_rope_mixed_ape_224",
}
_SIZES = {"hidden_dim", "num_layers", "num_heads", "mlp_dim", "image_shape", "patch_size"}
_SIZES |= {"num_class_layers"}


def _of_each_structure():
    """Return the first of the architectures that differ in nothing but sizes, of each kind."""
    firsts = {}
    for name in NAMES:
        family, variant = factory.variant(name)
        structure = sorted((k, str(value)) for k, value in variant.items() if k not in _SIZES)
        firsts.setdefault((family, *structure), name)
    return set(firsts.values())


SAMPLE = FAMILIES | _of_each_structure()
SMALL = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 40}


def small_pair(timm, random_state, name):
    """Return a converted small model of this name and the state dict that it came from."""
    model_type, variant = factory.variant(name)
    patch = variant["patch_size"]
    small = small_arguments(name, variant)
    image_shape = (4 * patch, 4 * patch, 3)
    plain = {**small, **small.get("arguments", {})}
    plain.pop("arguments", None)
    template = create_model(name, image_shape=image_shape, num_classes=7, **plain)
    state = random_state(name, **timm_arguments(template))
    model = convert(state, model=name, image_shape=image_shape, verify=False, **small).model
    assert type(model) is model_type
    return model, state


def small_arguments(name, variant):
    """Return what makes a variant narrow and shallow."""
    # timm's CaiT fixes the width of its class-attention MLPs at four times that of a token.
    if name.startswith("cait"):
        return {**SMALL, "mlp_dim": 4 * SMALL["hidden_dim"]}
    if variant.get("num_key_value_heads"):  # a grouped block between two that are not
        grouped = {"num_key_value_heads": 1, "full_head_blocks": 1}
        return {**SMALL, "num_layers": 3, "arguments": grouped}
    if variant.get("pooling_heads"):
        return {**SMALL, "arguments": {"pooling_mlp_dim": 96}}
    return SMALL


def timm_arguments(model):
    """Return timm's arguments for a small model."""
    return {
        "img_size": model.image_shape[:2],
        "num_classes": model.num_classes,
        **timm_module(model).arguments(),
    }


def test_the_names_are_timms(timm):
    modules = ("vision_transformer", "deit", "cait", "eva", "beit", "xcit")
    assert sorted(NAMES) == sorted(
        name for module in modules for name in timm.list_models(module=module)
    )


@pytest.mark.parametrize("name", spread(NAMES, SAMPLE, on_backends=FAMILIES))
def test_small_model_agrees_with_timm(timm, random_state, name):
    model, state = small_pair(timm, random_state, name)
    image_shape = (3 * model.patch_size[0], 5 * model.patch_size[1])
    images = np.random.default_rng(1).normal(size=(2, *image_shape, 3)).astype("float32")
    reference = TimmReference(timm, model, open_checkpoint(state), image_shape)
    parity = compare(model, reference.run(images), images)
    assert parity.argmax_equal
    assert max(parity.logits, parity.features) <= FEATURE_TOLERANCE, parity.summary
    assert parity.largest_score_difference <= SCORE_TOLERANCE, parity.summary
    exported = tensors_of(model)
    # PyTorch fills these in by itself where a state dict lacks them.
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    assert set(exported) == set(state) - counters
    assert all(np.array_equal(exported[key].load(key), state[key].numpy()) for key in exported)


def _without_equal_blocks(state, count, variant):
    """Return the shapes of a state dict with its first two blocks, which stand for all others.

    Of a model with grouped queries it is three: a block of the middle lies between the ends.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    if "num_key_value_heads" in variant:
        # One in the middle has fewer keys than those at the ends.
        kept = {0: 0, 1: count // 2, 2: count - 1}
        return {
            **{key: shape for key, shape in shapes.items() if not key.startswith("blocks.")},
            **{
                key.replace(f"blocks.{old}.", f"blocks.{new}.", 1): shape
                for new, old in kept.items()
                for key, shape in shapes.items()
                if key.startswith(f"blocks.{old}.")
            },
        }
    blocks = [
        {
            key.split(".", 2)[2]: shape
            for key, shape in shapes.items()
            if key.startswith(f"{start}.")
        }
        for start in (f"blocks.{index}" for index in range(count))
    ]
    assert all(blocks)
    assert all(block == blocks[0] for block in blocks)
    left_out = tuple(f"blocks.{index}." for index in range(2, count))
    if "rope.freqs" in shapes:
        shapes["rope.freqs"] = (2, 2, *shapes["rope.freqs"][2:])
    return {key: shape for key, shape in shapes.items() if not key.startswith(left_out)}


_ACTIVATIONS = {
    "GELU": "gelu",
    "GELUTanh": "gelu_tanh",
    "GeluTanh": "gelu_tanh",
    "QuickGELU": "quick_gelu",
    "SiLU": "silu",
}


def _first(module, *places):
    """Return the first of these submodules or attributes that a module has."""
    for place in places:
        with contextlib.suppress(AttributeError):
            found = module
            for part in place.split("."):
                found = found[int(part)] if part.isdigit() else getattr(found, part)
            return found
    raise AttributeError(places)


class _Shapes:
    """A checkpoint of zeros."""

    label, layout = "timm's model", None

    def __init__(self, shapes):
        self.names, self.shape = tuple(shapes), shapes.get

    def __getitem__(self, name):
        return np.zeros(self.shape(name), "float32")


def _pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def _facts(reference):
    """Return what the shapes of timm's model do not show."""
    block = reference.blocks[0]
    attention = _first(block, "attn", "attns.0.attn", "q_norm")
    activation = _first(block, "mlp.act", "ffns.0.mlp.act", "mlp_act")
    name = type(activation).__name__
    if getattr(activation, "approximate", "none") == "tanh":
        name = "GELUTanh"
    return {
        "num_heads": getattr(attention, "num_heads", None) or block.num_heads,
        "layer_norm_epsilon": _first(block, "norm1", "in_norm", "attns.0.norm").eps,
        "activation": _ACTIVATIONS[name],
        "patch_size": _pair(reference.patch_embed.patch_size),
        "pooling": {"token": "class", "avg": "average", "map": "attention"}[reference.global_pool],
    }


@pytest.mark.parametrize("name", spread(NAMES, SAMPLE))
def test_full_size_has_timms_tensors(timm, name):
    """Each of timm's tensors is used once and each weight gets one, of the right shape.

    The blocks of a model are equal, which is checked, so that two of them do.
    """
    variant = factory.variant(name)[1]
    # timm pools DINOv3's patches, we take its class token as its authors do.
    own = {"global_pool": "token"} if "_dinov3" in name else {}
    with without_memory():
        reference = timm.create_model(name, num_classes=1000, **own)
    state, depth = reference.state_dict(), variant["num_layers"]
    # Counters of batches, of which PyTorch keeps one a batch norm.
    state = {key: value for key, value in state.items() if value.ndim or "batches" not in key}
    assert len(reference.blocks) == depth
    shapes = _without_equal_blocks(state, depth, variant)
    source = _Shapes(shapes)
    detected = detect(source)

    said = {"num_layers": detected.structure["num_layers"]}
    if "num_key_value_heads" in detected.structure:
        said["full_head_blocks"] = 1

    def proven():
        architecture = resolve(source, detected, by_user(said), name)
        model = architecture.make(detected.num_classes)
        return model, prove(model, source, detected.layout, left_out(detected, model))

    # No value is made: the largest has 2.7 billion weights.
    model, (rules, dropped) = without_values(proven)
    assert not dropped
    if hasattr(getattr(reference, "rope", None), "periods"):
        reference.rope.periods = reference.rope._compute_periods()
    facts = _facts(reference) | rotary.of_timm(reference)
    if name.startswith("cait"):
        facts.pop("pooling")
    assert {fact: getattr(model, fact) for fact in facts} == facts
    if name.startswith("xcit"):
        assert reference.cls_attn_blocks[0].tokens_norm == model.use_tokens_norm
        assert model.image_shape[:2] == reference.default_cfg["input_size"][1:]
    else:
        assert model.token_layout().grid == reference.patch_embed.grid_size
    assert {key for rule in rules for key in rule.sources} == set(shapes)
    assert sum(int(np.prod(weight.shape)) for weight in model.weights) == sum(
        int(np.prod(shape)) for shape in shapes.values()
    )
