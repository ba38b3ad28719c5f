"""timm's arguments for plain ViTs, and for DeiT's with a distillation token.

Source: timm/models/vision_transformer.py `VisionTransformer.__init__`, timm/models/deit.py
`VisionTransformerDistilled`.
"""

import types
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.architecture.fitting import default_arguments
from kerasvit.conversion.proof.timm.modules.base import (
    SAME,
    TIMMS_POOLINGS,
    TimmModule,
    TimmObject,
)
from kerasvit.models.vit.readout import NORMED_AFTER


class PlainModule(TimmModule):
    """A `VisionTransformer` without rotary or relative positions."""

    name, class_name = "vision_transformer", "VisionTransformer"
    same = SAME | {
        "use_qk_norm": "qk_norm",
        "use_class_token": "class_token",
        "num_registers": "reg_tokens",
        "use_pre_norm": "pre_norm",
        "use_final_norm": "final_norm",
        "use_projection_bias": "proj_bias",
        "pool_prefix": "pool_include_prefix",
    }

    def _class_defaults(self) -> dict[str, Any]:
        return default_arguments(type(self.model))  # timm's class has the same

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments, its names for positions and what is read out among them."""
        model, arguments = self.model, super().arguments()
        if "position_embedding" in self.differing or "position_embedding" not in self.variant:
            arguments["no_embed_class"] = model.position_embedding == "patches"
        norms_after = model.normed_after_pooling
        if (model.pooling, norms_after) != _read_out(self.base):
            arguments.update(global_pool=TIMMS_POOLINGS[model.pooling], fc_norm=norms_after)
        return arguments

    def ratio(self, width: int) -> float:
        """Return the share of the tokens' width; timm counts both halves of DINOv2's gated MLP."""
        is_packed = self.model.mlp_type == "gated" and (
            self.model.name.startswith("vit_giant") or not self.is_named
        )
        return super().ratio(2 * width if is_packed else width)

    def objects(self) -> dict[str, TimmObject]:
        """Return the arguments that are classes of timm: a gated MLP is one too."""
        objects = super().objects()
        if "mlp_type" in self.differing and self.model.mlp_type == "gated":
            objects["mlp_layer"] = TimmObject(
                "timm.layers.SwiGLUPacked", lambda timm: timm.layers.SwiGLUPacked
            )
        return objects

    def renamed(self, timm: types.ModuleType, state: dict[str, Any], module: Any) -> dict[str, Any]:
        """Return the tensors in timm's names; its filter knows DINOv2's by the mask token alone."""
        import torch

        if "register_tokens" in state:  # transformers leaves the mask token out
            state.setdefault("mask_token", torch.zeros(1, state["pos_embed"].shape[2]))
        if any(name.endswith(".gamma_1") for name in state):
            state = {_deit3_name(name): value for name, value in state.items()}
        return super().renamed(timm, state, module)


class DistilledModule(PlainModule):
    """A `VisionTransformer` with a distillation token, whose class is in another module."""

    name, class_name = "deit", "VisionTransformerDistilled"


def _read_out(arguments: Mapping[str, Any]) -> tuple[str, bool]:
    pooling = arguments.get("pooling", "class")
    norms_after = arguments.get("norm_after_pooling")
    return pooling, pooling in NORMED_AFTER if norms_after is None else norms_after


def _deit3_name(name: str) -> str:
    return name.replace(".gamma_1", ".ls1.gamma").replace(".gamma_2", ".ls2.gamma")
