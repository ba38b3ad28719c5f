"""timm's model of a checkpoint, with its attention scores caught on the way."""

import types
from typing import Any

import numpy as np

from kerasvit.conversion.checkpoint import Checkpoint
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait import CaiT


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
        self.is_cait = isinstance(model, CaiT)
        self.module = make_timm_model(timm, model, image_shape)
        self.grid = tuple(side // model.patch_size[0] for side in model.image_shape[:2])
        self._load(checkpoint)
        self.module.eval()

    def _load(self, checkpoint: Checkpoint) -> None:
        import torch

        state = {name: torch.from_numpy(checkpoint[name]) for name in checkpoint.names}
        if self.is_cait:
            state = self.timm.models.cait.checkpoint_filter_fn(state, self.module)
            state["pos_embed"] = self._resampled(state["pos_embed"])
        else:
            if "gamma_1" in " ".join(state):
                state = {_deit3_name(name): value for name, value in state.items()}
            state = self.timm.models.vision_transformer.checkpoint_filter_fn(state, self.module)
        if self.module.num_classes == 0:
            state = {name: value for name, value in state.items() if not name.startswith("head")}
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
        caught: dict[str, Any] = {}
        handles = [
            module.register_forward_pre_hook(_catch(caught, key))
            for key, module in self._score_modules()
        ]
        try:
            with torch.no_grad():
                pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
                features = self.module.forward_features(pixels)
                logits = self.module.forward_head(features)
        finally:
            for handle in handles:
                handle.remove()
        return {
            "logits": logits.numpy(),
            "features": features.numpy(),
            "scores": {key: value.numpy() for key, value in caught.items()},
        }

    def _score_modules(self):
        for index, block in enumerate(self.module.blocks):
            yield f"sa_ffn_block_{index:02d}_att", block.attn.attn_drop
        for index, block in enumerate(getattr(self.module, "blocks_token_only", ())):
            yield f"ca_ffn_block_{index:02d}_att", block.attn.attn_drop


def make_timm_model(timm: types.ModuleType, model: ScoreModel, image_shape: tuple[int, int]):
    """Return timm's model of the same name and arguments, its attention written out, no values.

    Args:
        timm: the module.
        model: a Keras model that was made by its name.
        image_shape: `(height, width)`.
    """
    arguments: dict[str, Any] = {"num_classes": model.num_classes, "img_size": image_shape}
    if not isinstance(model, CaiT):
        arguments["no_embed_class"] = model.position_embedding == "patches"
        if model.norm_after_pooling:
            arguments.update(global_pool="avg", fc_norm=True)
    import torch

    fused = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)
    try:
        # Without values: a checkpoint's are put in their place, not copied over random ones.
        with torch.device("meta"):
            return timm.create_model(factory.canonical_name(model.name), **arguments)
    finally:
        timm.layers.set_fused_attn(fused)


def _catch(caught: dict[str, Any], key: str):
    def hook(module, inputs):
        caught[key] = inputs[0].detach().clone()

    return hook


def _deit3_name(name: str) -> str:
    return name.replace(".gamma_1", ".ls1.gamma").replace(".gamma_2", ".ls2.gamma")
