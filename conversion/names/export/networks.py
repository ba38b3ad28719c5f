"""The networks of Hugging Face's transformers that our models are: their names and needs.

Facts: transformers/models/{vit,deit,dinov2,dinov2_with_registers,dinov3_vit,beit}/
{configuration,modeling}_*.py and the files on the Hub, whose names transformers 4 and 5 both read.
"""

from kerasvit.conversion.names.export.network import Network
from kerasvit.conversion.names.foreign import dinov3
from kerasvit.conversion.names.foreign.huggingface import beit

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
}
# From the names that the rules know to those of files; what is not here keeps its name.
_ATTENTION = {
    "layers.{i}.attention.query": "encoder.layer.{i}.attention.attention.query",
    "layers.{i}.attention.key": "encoder.layer.{i}.attention.attention.key",
    "layers.{i}.attention.value": "encoder.layer.{i}.attention.attention.value",
    "layers.{i}.attention.o_proj": "encoder.layer.{i}.attention.output.dense",
}
_VIT_NAMES = {
    **_ATTENTION,
    "layers.{i}.layernorm_before": "encoder.layer.{i}.layernorm_before",
    "layers.{i}.layernorm_after": "encoder.layer.{i}.layernorm_after",
    "layers.{i}.mlp.fc1": "encoder.layer.{i}.intermediate.dense",
    "layers.{i}.mlp.fc2": "encoder.layer.{i}.output.dense",
}
_DINOV2_NAMES = {
    **_ATTENTION,
    "layers.{i}.norm1": "encoder.layer.{i}.norm1",
    "layers.{i}.norm2": "encoder.layer.{i}.norm2",
    "layers.{i}.layer_scale1.lambda1": "encoder.layer.{i}.layer_scale1.lambda1",
    "layers.{i}.layer_scale2.lambda1": "encoder.layer.{i}.layer_scale2.lambda1",
    "layers.{i}.mlp.fc1": "encoder.layer.{i}.mlp.fc1",
    "layers.{i}.mlp.fc2": "encoder.layer.{i}.mlp.fc2",
    "layers.{i}.mlp.weights_in": "encoder.layer.{i}.mlp.weights_in",
    "layers.{i}.mlp.down_proj": "encoder.layer.{i}.mlp.weights_out",
}
_EMBEDDINGS = (
    "embeddings.patch_embeddings.projection",
    "embeddings.cls_token",
    "embeddings.position_embeddings",
    "layernorm",
)

# What all have; our other models have no class in transformers that computes the same.
_ALL = {
    "family": "vit",
    "pooling": "class",
    "use_class_token": True,
    "use_distillation_token": False,
    "use_qk_norm": False,
    "use_projection_bias": True,
    "use_sub_norm": False,
    "use_mlp_sub_norm": False,
    "use_mlp_layer_scale": True,
    "use_patch_norm": False,
    "use_pre_norm": False,
    "use_final_norm": True,
    "normed_after_pooling": False,
    "norm_type": "layer",
    "block_type": "encoder",
    "attention_type": "self",
    "num_key_value_heads": None,
    "use_key_bias": True,
    "rope_type": None,
    "use_relative_position_bias": False,
    "head_blocks": 1,
    "head_interleaved": False,
}
_PLAIN = {
    **_ALL,
    "layer_scale_init_value": None,
    "mlp_type": "mlp",
    "position_embedding": "all",
    "head_patch_mean": False,
}
VIT = Network(
    model_type="vit",
    prefix="vit.",
    block_names=_VIT_NAMES,
    names=_EMBEDDINGS,
    head_names=("classifier",),
    classifier="ViTForImageClassification",
    backbone="ViTModel",
    needs={**_PLAIN, "num_registers": 0},
)
DEIT_WITH_TEACHER = Network(
    model_type="deit",
    prefix="deit.",
    block_names=_VIT_NAMES,
    names=(*_EMBEDDINGS, "embeddings.distillation_token"),
    head_names=("cls_classifier", "distillation_classifier"),
    classifier="DeiTForImageClassificationWithTeacher",
    backbone="DeiTModel",
    needs={**_PLAIN, "num_registers": 0, "use_distillation_token": True},
)
# Its distillation token is one that no head reads.
DEIT = Network(
    model_type="deit",
    prefix="deit.",
    block_names={**_VIT_NAMES, "embeddings.unread_token": "embeddings.distillation_token"},
    names=_EMBEDDINGS,
    head_names=("classifier",),
    classifier="DeiTForImageClassification",
    backbone="DeiTModel",
    needs={**_PLAIN, "num_registers": 1},
)
DINOV2 = Network(
    model_type="dinov2",
    prefix="dinov2.",
    base="dinov2",
    block_names=_DINOV2_NAMES,
    names=_EMBEDDINGS,
    head_names=("classifier",),
    zeros={"embeddings.mask_token": 1},
    classifier="Dinov2ForImageClassification",
    backbone="Dinov2Model",
    needs={**_ALL, "position_embedding": "all", "num_registers": 0},
)
DINOV2_WITH_REGISTERS = Network(
    model_type="dinov2_with_registers",
    prefix="dinov2_with_registers.",
    base="dinov2",
    block_names=_DINOV2_NAMES,
    names=(*_EMBEDDINGS, "embeddings.register_tokens"),
    head_names=("classifier",),
    zeros={"embeddings.mask_token": 1},
    classifier="Dinov2WithRegistersForImageClassification",
    backbone="Dinov2WithRegistersModel",
    needs={**_ALL, "position_embedding": "patches"},
)
_DINOV3_NEEDS = {**_ALL, "rope_type": "dinov3", "rope_offset": 0.0, "position_embedding": "none"}
del _DINOV3_NEEDS["use_key_bias"], _DINOV3_NEEDS["use_projection_bias"]  # its config says them
DINOV3 = Network(
    model_type="dinov3_vit",
    prefix="",
    table=dinov3.HUGGINGFACE.rules,
    block_names={"layer.{i}.mlp.gated_up_proj": "layer.{i}.mlp.up_proj"},
    zeros={"embeddings.mask_token": 2},
    backbone="DINOv3ViTModel",
    needs={**_DINOV3_NEEDS, "num_classes": 0},
)
_BEIT_NEEDS = {**_ALL, "mlp_type": "mlp", "num_registers": 0, "head_patch_mean": False}
del _BEIT_NEEDS["pooling"], _BEIT_NEEDS["normed_after_pooling"]  # its config says them
BEIT = Network(
    model_type="beit",
    prefix="beit.",
    table=beit.HUGGINGFACE.rules,
    block_names={
        **_VIT_NAMES,
        "layers.{i}.lambda_1": "encoder.layer.{i}.lambda_1",
        "layers.{i}.lambda_2": "encoder.layer.{i}.lambda_2",
        "layers.{i}.relative_position_bias.relative_position_bias_table": (
            "encoder.layer.{i}.attention.attention.relative_position_bias"
            ".relative_position_bias_table"
        ),
    },
    names=(*_EMBEDDINGS, "pooler.layernorm"),
    head_names=("classifier",),
    classifier="BeitForImageClassification",
    backbone="BeitModel",
    needs={**_BEIT_NEEDS, "use_key_bias": False, "use_relative_position_bias": True},
)
