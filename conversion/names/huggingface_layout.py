"""The way back to Hugging Face: which network of transformers a model is, its names and config.

Facts: transformers/models/{vit,deit,dinov2,dinov2_with_registers}/{configuration,modeling}_*.py and
the files on the Hub, whose names transformers 4 and 5 both read.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.names.foreign.huggingface import RULES
from kerasvit.conversion.names.transforms import Rule
from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel

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


@dataclasses.dataclass(frozen=True)
class Network:
    """One class of networks of transformers.

    Args:
        model_type: its name in `config.json`, and what its backbone's names start with.
        base: our layout that its tensors are made from, "timm" or "dinov2".
        block_names: names of a block's tensors and others, from the rules' to the file's.
        names: further names, that stay as they are.
        head_names: names of its heads, which have no prefix.
        classifier: its class with a head.
        backbone: its class without one.
        needs: what a model must have, by argument.
    """

    model_type: str
    base: str
    block_names: Mapping[str, str]
    names: tuple[str, ...]
    head_names: tuple[str, ...]
    classifier: str
    backbone: str
    needs: Mapping[str, Any]

    def file_name(self, name: str) -> str | None:
        """Return what the file calls a name of the rules; None for one of another network."""
        end = next((end for end in (".weight", ".bias") if name.endswith(end)), "")
        stem = name.removesuffix(end)
        if stem in self.head_names:
            return stem + end
        if stem in self.names:
            return f"{self.model_type}.{stem}{end}"
        stored = self.block_names.get(stem)
        return stored and f"{self.model_type}.{stored}{end}"

    def rules(self) -> list[Rule]:
        """Return the rules all of whose sources this network has, under their names in files."""
        rules = []
        for rule in RULES:
            names = [self.file_name(source) for source in rule.sources]
            sources = tuple(name for name in names if name is not None)
            if len(sources) == len(names):
                rules.append(Rule(sources, rule.target, rule.kind))
        return rules


# What all four have; our other models have no class in transformers that computes the same.
_ALL = {
    "family": "vit",
    "pooling": "class",
    "use_class_token": True,
    "use_qk_norm": False,
    "use_projection_bias": True,
    "use_sub_norm": False,
    "use_patch_norm": False,
    "use_pre_norm": False,
    "use_final_norm": True,
    "normed_after_pooling": False,
    "norm_type": "layer",
    "block_type": "encoder",
    "attention_type": "self",
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
    "vit",
    "timm",
    _VIT_NAMES,
    _EMBEDDINGS,
    ("classifier",),
    "ViTForImageClassification",
    "ViTModel",
    {**_PLAIN, "num_registers": 0, "use_distillation_token": False},
)
DEIT_WITH_TEACHER = Network(
    "deit",
    "timm",
    _VIT_NAMES,
    (*_EMBEDDINGS, "embeddings.distillation_token"),
    ("cls_classifier", "distillation_classifier"),
    "DeiTForImageClassificationWithTeacher",
    "DeiTModel",
    {**_PLAIN, "num_registers": 0},
)
# Its distillation token is one that no head reads.
DEIT = Network(
    "deit",
    "timm",
    {**_VIT_NAMES, "embeddings.unread_token": "embeddings.distillation_token"},
    _EMBEDDINGS,
    ("classifier",),
    "DeiTForImageClassification",
    "DeiTModel",
    {**_PLAIN, "num_registers": 1, "use_distillation_token": False},
)
DINOV2 = Network(
    "dinov2",
    "dinov2",
    _DINOV2_NAMES,
    (*_EMBEDDINGS, "embeddings.mask_token"),
    ("classifier",),
    "Dinov2ForImageClassification",
    "Dinov2Model",
    {
        **_ALL,
        "position_embedding": "all",
        "num_registers": 0,
        "use_distillation_token": False,
    },
)
DINOV2_WITH_REGISTERS = Network(
    "dinov2_with_registers",
    "dinov2",
    _DINOV2_NAMES,
    (*_EMBEDDINGS, "embeddings.register_tokens", "embeddings.mask_token"),
    ("classifier",),
    "Dinov2WithRegistersForImageClassification",
    "Dinov2WithRegistersModel",
    {**_ALL, "position_embedding": "patches", "use_distillation_token": False},
)


def network_of(model: ScoreModel) -> Network:
    """Return the class of networks of transformers that computes what a model does.

    Raises:
        UsageError: if there is none; the message says what differs.
    """
    network = _likely(model)
    problem = next(
        (
            f"{network.classifier} has {argument}={wanted!r}, and this model "
            f"{getattr(model, argument, None)!r}"
            for argument, wanted in network.needs.items()
            if getattr(model, argument, None) != wanted
        ),
        None,
    ) or _other_problem(model, network)
    if problem is not None:
        raise UsageError(
            "The layout 'huggingface' is for models that transformers has: ViT, DeiT, DINOv2 with "
            f"and without registers. Received: {model.name!r}; {problem}. Choose layout='timm'"
        )
    return network


def _likely(model: ScoreModel) -> Network:
    if getattr(model, "layer_scale_init_value", None) is not None:
        return DINOV2_WITH_REGISTERS if getattr(model, "num_registers", 0) else DINOV2
    if getattr(model, "use_distillation_token", False):
        return DEIT_WITH_TEACHER
    return DEIT if getattr(model, "num_registers", 0) else VIT


def _other_problem(model: Any, network: Network) -> str | None:
    if model.activation not in ACTIVATIONS:
        return f"it has no activation {model.activation!r}"
    if not network.model_type.startswith("dinov2"):
        return None
    if model.num_classes and not model.head_patch_mean:
        return (
            "its classifier reads the class token and the mean patch token, and this model's the "
            "class token alone (num_classes=0 leaves it out)"
        )
    height, width = (
        side // patch for side, patch in zip(model.image_shape, model.patch_size, strict=False)
    )
    if height != width:
        return f"it knows square grids of patches alone, and this model's is {height}x{width}"
    return None if mlp_ratio(model) else f"its MLP can't be {model.mlp_dim} wide"


def mlp_ratio(model: Any) -> int | None:
    """Return the whole number of widths from which DINOv2's code gets the width of the MLP."""
    if model.mlp_type == "mlp":
        ratio, rest = divmod(model.mlp_dim, model.hidden_dim)
        return None if rest else ratio
    ratios = range(1, 2 + 2 * model.mlp_dim // model.hidden_dim)
    gated = {(int(model.hidden_dim * ratio * 2 / 3) + 7) // 8 * 8: ratio for ratio in ratios}
    return gated.get(model.mlp_dim) if model.activation == "silu" else None
