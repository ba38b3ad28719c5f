"""timm's model of a checkpoint, and its outputs with every attention score."""

import contextlib
import fnmatch
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.eva_rules import is_beits, is_evas
from kerasvit.conversion.names.xcit_layout import COUNTERS
from kerasvit.conversion.proof.outputs import NoReference, Outputs
from kerasvit.conversion.proof.positions import resampled
from kerasvit.conversion.proof.timm.arguments import (
    TIMMS_POOLINGS,
    differing_arguments,
    is_named,
    objects,
    unsupported,
)
from kerasvit.conversion.proof.timm.beit import resized_tables
from kerasvit.conversion.proof.timm.eva import fill_buffers
from kerasvit.conversion.proof.timm.linear_probe import Probe
from kerasvit.conversion.proof.timm.scores import Caught
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel

# Arguments in a hub config that the comparison sets itself.
_OWN_ARGUMENTS = ("img_size", "in_chans", "num_classes", "pretrained", "checkpoint_path")


class TimmReference:
    """timm's model with the weights of a checkpoint, loaded by timm's own filter.

    Args:
        timm: the module.
        model: a Keras model whose arguments say what is not timm's own about its name.
        checkpoint: an unwrapped checkpoint.
        image_size: `(height, width)` that the model runs on; None for the pretrained one.
        config: the hub config of the checkpoint, which decides instead of `model`.

    Raises:
        NoReference: if timm has no such model.
    """

    def __init__(
        self,
        timm: types.ModuleType,
        model: ScoreModel,
        checkpoint: Checkpoint,
        image_size: tuple[int, int] | None = None,
        config: Mapping[str, Any] | None = None,
    ):
        self.timm = timm
        self.model = model
        self.image_size = tuple(image_size or model.image_shape[:2])
        self.module = make_timm_model(timm, model, self.image_size, config)
        self.label = _label(timm, model, config)
        self.probe: Any = contextlib.nullcontext()
        self._load(checkpoint)
        self.module.eval()

    def _load(self, checkpoint: Checkpoint) -> None:
        import torch

        state = {
            name: torch.from_numpy(checkpoint[name])
            for name in checkpoint.names
            if not fnmatch.fnmatchcase(name, COUNTERS)  # PyTorch starts them again
        }
        if self.model.reads_several_tokens:
            head = state.pop("head.weight"), state.pop("head.bias")
            self.probe = Probe(self.module, self.model, *head)
        state = self._in_timms_names(state)
        if "pos_embed" in state:
            positions = resampled(state["pos_embed"].numpy(), self.model, self.image_size)
            state["pos_embed"] = torch.from_numpy(positions)
        if is_beits(self.model):
            grid = self.module.patch_embed.grid_size
            state = resized_tables(self.timm, state, self.model, grid)
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
        if is_evas(self.model) or is_beits(self.model):
            fill_buffers(self.module, self.model)

    def _in_timms_names(self, state: dict[str, Any]) -> dict[str, Any]:
        import torch

        if self.model.family == "cait":
            return self.timm.models.cait.checkpoint_filter_fn(state, self.module)
        if self.model.family == "xcit":
            return self.timm.models.xcit.checkpoint_filter_fn(state, self.module)
        if "register_tokens" in state:
            # timm knows DINOv2's names by the mask token, which transformers leaves out.
            state.setdefault("mask_token", torch.zeros(1, state["pos_embed"].shape[2]))
        has_gammas = any(name.endswith(".gamma_1") for name in state)
        if has_gammas and not (is_evas(self.model) or is_beits(self.model)):
            state = {_deit3_name(name): value for name, value in state.items()}
        # It takes a square root of the positions where they are not of its model's size.
        module = make_timm_model(self.timm, self.model, self.model.image_shape[:2])
        if is_evas(self.model):
            return self.timm.models.eva.checkpoint_filter_fn(state, module)
        if is_beits(self.model):
            return self.timm.models.beit.checkpoint_filter_fn(state, module)
        return self.timm.models.vision_transformer.checkpoint_filter_fn(state, module)

    def run(self, images: np.ndarray) -> Outputs:
        """Return what timm's model computes.

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
        return Outputs(
            logits.numpy(), features.numpy(), {key: value.numpy() for key, value in scores.items()}
        )


def make_timm_model(
    timm: types.ModuleType,
    model: ScoreModel,
    image_size: tuple[int, ...],
    config: Mapping[str, Any] | None = None,
) -> Any:
    """Return timm's model of the same name and arguments, its attention written out, no values.

    Only what differs from the named variant is passed on, so that timm's own table has the rest. A
    model without a name in timm is made by its class.

    Args:
        timm: the module.
        model: a Keras model.
        image_size: `(height, width)`.
        config: a hub config, which decides about all but head, channels and size.

    Raises:
        NoReference: if timm can't be told what the model has.
    """
    import torch

    arguments = {
        "num_classes": 0 if model.reads_several_tokens else model.num_classes,
        "img_size": tuple(image_size),
    }
    if config is not None:
        own = {k: v for k, v in (config.get("model_args") or {}).items() if k not in _OWN_ARGUMENTS}
        arguments |= {"in_chans": model.image_shape[2], **own}
        if is_evas(model):
            arguments |= {"global_pool": TIMMS_POOLINGS[model.pooling]}
    else:
        left = unsupported(model)
        if left:
            raise NoReference(f"timm can't be told a model's {', '.join(left)}")
        arguments |= {**differing_arguments(model), **objects(timm, model)}
    fused = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)
    try:
        # Without values: a checkpoint's are put in their place, not copied over random ones.
        with torch.device("meta"):
            if config is not None:
                return timm.create_model(config["architecture"], **arguments)
            if is_named(model):
                return timm.create_model(factory.canonical_name(model.name), **arguments)
            return _class(timm, model)(**arguments)
    finally:
        timm.layers.set_fused_attn(fused)


def _class(timm: types.ModuleType, model: ScoreModel) -> Any:
    if model.family == "cait":
        return timm.models.cait.Cait
    if model.family == "xcit":
        return timm.models.xcit.Xcit
    if model.is_distilled:
        return timm.models.deit.VisionTransformerDistilled
    if is_evas(model):
        return timm.models.eva.Eva
    if is_beits(model):
        return timm.models.beit.Beit
    return timm.models.vision_transformer.VisionTransformer


def _label(timm: types.ModuleType, model: ScoreModel, config: Mapping[str, Any] | None) -> str:
    if config is not None:
        return f"timm {timm.__version__}'s {config['architecture']}, as config.json says"
    named = factory.canonical_name(model.name) if is_named(model) else _class(timm, model).__name__
    return f"timm {timm.__version__}'s {named}"


def _deit3_name(name: str) -> str:
    return name.replace(".gamma_1", ".ls1.gamma").replace(".gamma_2", ".ls2.gamma")
