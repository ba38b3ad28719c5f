"""Files of EVA-02, EVA-CLIP, Perception Encoder and Sapiens2 by their authors' names.

Each is made of a random state dict of timm's model; that the made-up names are the authors' is
checked by timm's own filter, which turns them back.
"""

import re

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from kerasvit.conversion import convert
from kerasvit.conversion.export import tensors_of

SMALL = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 40}
TIMMS = {"embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 40.5 / 48}


def renamed(state, *pairs):
    found = {}
    for key, value in state.items():
        for pattern, replacement in pairs:
            key = re.sub(pattern, replacement, key)
        found[key] = value
    return found


EVA02 = (
    (r"fc1_g", "w1"),
    (r"fc1_x", "w2"),
    (r"mlp\.fc2", "mlp.w3"),
    (r"mlp\.norm", "mlp.ffn_ln"),
    (r"attn\.norm", "attn.inner_attn_ln"),
    (r"attn\.([qv])_proj\.bias", r"attn.\1_bias"),
)


def eva02(state):
    tables = np.zeros((12, 16), "float32")
    own = {"rope.freqs_cos": tables, "blocks.0.attn.rope.freqs_sin": tables}
    return renamed(state, *EVA02) | own


def packed(state):
    return renamed(state, (r"mlp\.fc1", "mlp.w12"), (r"mlp\.fc2", "mlp.w3"))


def masked(state):
    """A file of the masked training, whose last norm timm takes for that of the pooling."""
    state = {key: value for key, value in state.items() if not key.startswith("head.")}
    own = {"mask_token": np.zeros((1, 1, 48), "float32"), "lm_head.bias": np.zeros(9, "float32")}
    return renamed(eva02(state), (r"^fc_norm", "norm")) | own


def clip(state):
    text = {"text.positional_embedding": np.zeros((7, 8), "f4"), "logit_scale": np.zeros((), "f4")}
    return {f"visual.{key}": value for key, value in eva02(state).items()} | text


def perception(state):
    state = dict(state)
    parts = {}
    for end in ("weight", "bias"):
        if f"attn_pool.q.{end}" in state:
            query, key_value = state.pop(f"attn_pool.q.{end}"), state.pop(f"attn_pool.kv.{end}")
            parts[f"attn_pool.attn.in_proj_{end}"] = np.concatenate([query, key_value])
    if "head.weight" in state:
        parts["proj"] = state.pop("head.weight").T
        del state["head.bias"]
    if "cls_token" in state:
        parts["class_embedding"] = state.pop("cls_token")[0, 0]
    parts["positional_embedding"] = state.pop("pos_embed")[0]
    return parts | renamed(
        state,
        (r"^attn_pool\.latent", "attn_pool.probe"),
        (r"^attn_pool\.proj", "attn_pool.attn.out_proj"),
        (r"^attn_pool\.norm", "attn_pool.layernorm"),
        (r"mlp\.fc1", "mlp.c_fc"),
        (r"mlp\.fc2", "mlp.c_proj"),
        (r"^patch_embed\.proj", "conv1"),
        (r"^norm_pre", "ln_pre"),
        (r"^norm\.", "ln_post."),
        (r"^blocks\.(\d+)\.norm([12])", r"transformer.resblocks.\1.ln_\2"),
        (r"^blocks\.(\d+)\.gamma_([12])", r"transformer.resblocks.\1.ls_\2.gamma"),
        (r"^blocks\.(\d+)\.attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
        (r"^blocks\.(\d+)\.attn\.proj", r"transformer.resblocks.\1.attn.out_proj"),
        (r"^blocks\.", "transformer.resblocks."),
    )


def with_text(state):
    state = {f"visual.{key}": value for key, value in perception(state).items()}
    return state | {
        "transformer.resblocks.0.ln_1.bias": np.zeros(8, "f4"),
        "ln_final.bias": state["visual.ln_pre.bias"],
    }


def sapiens2(state):
    return renamed(
        state,
        (r"reg_token", "storage_tokens"),
        (r"patch_embed\.proj", "patch_embed.projection"),
        (r"attn\.([qkv])_proj", r"attn.w\1"),
        (r"\.gamma_1$", ".attn.gamma.weight"),
        (r"\.mlp\.fc1", ".ffn.w12"),
        (r"\.mlp\.fc2", ".ffn.w3"),
        (r"\.norm([12])\.", r".ln\1."),
        (r"^norm\.", "ln1."),
    ) | {"mask_token": np.zeros((1, 1, 48), "float32")}


GROUPED = {"num_kv_heads": (3, 1, 3), "depth": 3}
POOLING = {"attn_pool_num_heads": 8, "attn_pool_mlp_ratio": 2.0}
CASES = {
    "EVA-02": ("eva02_base_patch14_224", eva02, {}, {}),
    "EVA-02 packed": ("eva02_small_patch14_224", packed, {}, {}),
    "EVA-02 masked": ("eva02_base_patch14_224", masked, {"num_classes": 0}, {}),
    "EVA-CLIP": ("eva02_base_patch16_clip_224", clip, {}, {}),
    "PE core": (
        "vit_pe_core_base_patch16_224",
        with_text,
        POOLING,
        {"arguments": {"pooling_mlp_dim": 96}},
    ),
    "PE spatial": ("vit_pe_spatial_base_patch16_512", perception, {"num_classes": 0}, {}),
    "PE lang": ("vit_pe_lang_large_patch14_448", perception, {"num_classes": 0}, {}),
    "Sapiens2": (
        "vit_large_patch16_sapiens2",
        sapiens2,
        {"num_classes": 0, **GROUPED},
        {"num_layers": 3, "arguments": {"full_head_blocks": 1, "num_key_value_heads": 1}},
    ),
}


def without_zero_bias(state):
    return {key: np.zeros_like(v) if key == "head.bias" else v for key, v in state.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_authors_file_is_the_same_model_as_timms(timm, random_state, case):
    name, rename, timms, options = CASES[case]
    side = 4 * (14 if "patch14" in name else 16)
    made = random_state(name, img_size=(side, side), **{"num_classes": 7, **TIMMS, **timms})
    state = {key: value.numpy() for key, value in made.items()}
    if case == "PE core":
        state = without_zero_bias(state)
    original = rename(state)
    _check_by_timm(timm, name, side, {**TIMMS, "num_classes": 7, **timms}, original, state)
    ours = {"model": name, "image_shape": (side, side), "verify": False, **SMALL, **options}
    wanted, found = (convert(one, **ours).model for one in (state, original))
    assert {**wanted.get_config(), "record": 0} == {**found.get_config(), "record": 0}
    for one, other in zip(wanted.weights, found.weights, strict=True):
        assert np.array_equal(to_numpy(one), to_numpy(other)), one.path
    exported = tensors_of(found)
    assert set(exported) == set(state)
    assert all(np.array_equal(exported[key].load(key), state[key]) for key in state)


def _check_by_timm(timm, name, side, arguments, original, state):
    import torch

    with torch.device("meta"):
        module = timm.create_model(name, img_size=(side, side), **arguments)
    tensors = {key: torch.from_numpy(np.ascontiguousarray(v)) for key, v in original.items()}
    filtered = timm.models.eva.checkpoint_filter_fn(tensors, module)
    assert set(filtered) == set(state)
    assert all(np.array_equal(filtered[key].numpy(), state[key]) for key in state)
