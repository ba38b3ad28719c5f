"""Families that are not built in, and weights that are no whole model, are called by their name."""

import numpy as np
import pytest

from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError

OURS = ("patch_embed.proj.weight", "pos_embed", "blocks.0.norm1.weight")
OTHERS = {
    "PEFT": ("base_model.model.blocks.0.attn.qkv.lora_A.weight", "LoRA.*merge_and_unload"),
    "PEFT beside the model": ("blocks.0.attn.qkv.lora_B.default.weight", "LoRA.*merge_and_unload"),
    "int8": ("vit.encoder.layer.0.output.dense.SCB", "bitsandbytes.*quantised from"),
    "4 bits": ("blocks.0.mlp.fc1.weight.absmax", "4 bits"),
    "GPTQ": ("blocks.0.mlp.fc1.qweight", "GPTQ"),
    "Swin": ("layers.0.blocks.0.attn.relative_position_bias_table", "Swin"),
    "BEiT of masked training": ("rel_pos_bias.relative_position_bias_table", "masked training"),
    "other biases": ("blocks.0.attn.rel_pos.relative_position_bias_table", "not BEiT's"),
    "ConvNeXt": ("stages.0.blocks.0.conv_dw.weight", "ConvNeXt"),
    "ResNet": ("layer1.0.conv1.weight", "ResNet"),
    "CLIP's ResNet": ("visual.layer1.0.conv1.weight", "ResNet"),
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_another_family_is_called_by_its_name(case, is_wrapped):
    name, words = OTHERS[case]
    state = {name: np.ones((2, 2), "float32")}
    if is_wrapped:
        state = {"state_dict": {f"module.{key}": value for key, value in state.items()}}
    with pytest.raises(InputError, match=words) as caught:
        in_timm_names(unwrap(state))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["blocks.0.attn.qkv.lora_A.weight", "blocks.0.mlp.fc1.SCB"])
def test_a_vit_that_is_not_whole_is_refused_too(name):
    state = {key: np.ones((2, 2), "float32") for key in (*OURS, name)}
    with pytest.raises(InputError, match=r"adapter|quantised"):
        in_timm_names(unwrap(state))


def test_a_vit_is_no_other_family():
    state = {key: np.ones((2, 2), "float32") for key in OURS}
    assert in_timm_names(unwrap(state)).names == OURS
