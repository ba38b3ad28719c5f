"""timm's model of a checkpoint, and its outputs with every attention score."""

import contextlib
import types
from typing import Any

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.proof.timm.linear_probe import Probe, reads_blocks
from kerasvit.conversion.proof.timm.scores import Caught
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait.model import CaiT
from kerasvit.models.vit.readout import NORMED_AFTER


class TimmReference:
    """timm's model with the weights of a checkpoint, loaded by timm's own filter.

    Args:
        timm: the module.
        model: the Keras model whose counterpart is made; its name decides the architecture.
        checkpoint: an unwrapped checkpoint.
        image_shape: `(height, width)` that the model runs on.
    """

    def __init__(
        self,
        timm: types.ModuleType,
        model: ScoreModel,
        checkpoint: Checkpoint,
        image_shape: tuple[int, int],
    ):
        self.timm = timm
        self.model = model
        self.is_cait = isinstance(model, CaiT)
        self.module = make_timm_model(timm, model, image_shape)
        self.grid = tuple(side // model.patch_size[0] for side in model.image_shape[:2])
        self._load(checkpoint)
        self.module.eval()

    def _load(self, checkpoint: Checkpoint) -> None:
        import torch

        state = {name: torch.from_numpy(checkpoint[name]) for name in checkpoint.names}
        self.probe: Any = contextlib.nullcontext()
        if reads_blocks(self.model):
            head = state.pop("head.weight"), state.pop("head.bias")
            self.probe = Probe(self.module, self.model, *head)
        if self.is_cait:
            state = self.timm.models.cait.checkpoint_filter_fn(state, self.module)
            state["pos_embed"] = self._resampled(state["pos_embed"])
        else:
            if "gamma_1" in " ".join(state):
                state = {_deit3_name(name): value for name, value in state.items()}
            state = self.timm.models.vision_transformer.checkpoint_filter_fn(state, self.module)
        unused = [
            prefix
            for prefix, is_used in (
                ("head", self.module.num_classes),
                ("attn_pool.", getattr(self.module, "attn_pool", None) is not None),
            )
            if not is_used
        ]
        state = {name: v for name, v in state.items() if not name.startswith(tuple(unused))}
        self.module.load_state_dict(state, strict=True, assign=True)

    def _resampled(self, positions):
        return self.timm.layers.resample_abs_pos_embed(
            positions,
            new_size=self.module.patch_embed.grid_size,
            old_size=self.grid,
            num_prefix_tokens=0,
        )

    def run(self, images: np.ndarray) -> dict[str, Any]:
        """Return "logits", "features" and "scores" as NumPy arrays, scores by our keys.

        Args:
            images: float32 or float64 `(B, height, width, C)`; the model runs in that type.
        """
        import torch

        self.module.to(torch.float64 if images.dtype == np.float64 else torch.float32)
        with Caught(self.module) as caught, self.probe as probe, torch.no_grad():
            pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
            features = self.module.forward_features(pixels)
            logits = probe.logits() if probe else self.module.forward_head(features)
            scores = caught.scores()
        return {
            "logits": logits.numpy(),
            "features": features.numpy(),
            "scores": {key: value.numpy() for key, value in scores.items()},
        }


def make_timm_model(timm: types.ModuleType, model: ScoreModel, image_shape: tuple[int, int]):
    """Return timm's model of the same name and arguments, its attention written out, no values.

    Only what differs from the named variant is passed on, so that timm's own table has the rest.

    Args:
        timm: the module.
        model: a Keras model that was made by its name.
        image_shape: `(height, width)`.
    """
    import torch

    fused = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)
    try:
        # Without values: a checkpoint's are put in their place, not copied over random ones.
        with torch.device("meta"):
            return timm.create_model(
                factory.canonical_name(model.name),
                num_classes=0 if reads_blocks(model) else model.num_classes,
                img_size=image_shape,
                **differing_arguments(model),
            )
    finally:
        timm.layers.set_fused_attn(fused)


_SIZES = {
    "hidden_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "num_class_layers": "depth_token_only",
}
_POOLINGS = {
    "class": "token",
    "average": "avg",
    "max": "max",
    "average_max": "avgmax",
    "attention": "map",
}


def differing_arguments(model: ScoreModel) -> dict[str, Any]:
    """Return timm's arguments for what a model has otherwise than the variant of its name."""
    _, variant = factory.variant(factory.canonical_name(model.name))
    differing = {
        name: getattr(model, name)
        for name in model.arguments
        if name in variant and getattr(model, name) != variant[name]
    }
    arguments = {theirs: differing[ours] for ours, theirs in _SIZES.items() if ours in differing}
    if {"hidden_dim", "mlp_dim"} & set(differing):
        # timm counts both halves of the hidden layer of DINOv2's gated MLP.
        factor = 2 if model.name.startswith("vit_giant") and model.mlp_type == "gated" else 1
        arguments["mlp_ratio"] = (factor * model.mlp_dim + 0.5) / model.hidden_dim
    if isinstance(model, CaiT):
        return arguments
    if ("position_embedding" in differing) or ("position_embedding" not in variant):
        arguments["no_embed_class"] = model.position_embedding == "patches"
    norms_after = model.norms_after_pooling()
    if (model.pooling, norms_after) != _default_readout(variant):
        arguments.update(global_pool=_POOLINGS[model.pooling], fc_norm=norms_after)
    return arguments


def timm_call(model: ScoreModel) -> str:
    """Return the call that makes timm's model of the same name and arguments, as text."""
    arguments = {
        "num_classes": model.num_classes,
        "img_size": tuple(model.image_shape[:2]),
        **differing_arguments(model),
    }
    listing = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"timm.create_model({factory.canonical_name(model.name)!r}, {listing})"


def _default_readout(variant: dict[str, Any]) -> tuple[str, bool]:
    pooling = variant.get("pooling", "class")
    norms_after = variant.get("norm_after_pooling")
    return pooling, pooling in NORMED_AFTER if norms_after is None else norms_after


def _deit3_name(name: str) -> str:
    return name.replace(".gamma_1", ".ls1.gamma").replace(".gamma_2", ".ls2.gamma")
