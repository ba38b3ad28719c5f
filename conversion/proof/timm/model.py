"""timm's model of a checkpoint, and its outputs with every attention score."""

import contextlib
import fnmatch
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.xcit_layout import COUNTERS
from kerasvit.conversion.proof.outputs import NoReference, Outputs
from kerasvit.conversion.proof.positions import resampled
from kerasvit.conversion.proof.timm.linear_probe import Probe
from kerasvit.conversion.proof.timm.modules import TimmModule, timm_module
from kerasvit.conversion.proof.timm.scores import Caught
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
        self.kind = timm_module(model)
        self.module = make_timm_model(timm, model, self.image_size, config)
        self.label = _label(timm, self.kind, config)
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
        # It takes a square root of the positions where they are not of its model's size.
        stored = make_timm_model(self.timm, self.model, self.model.image_shape[:2])
        state = self.kind.renamed(self.timm, state, stored)
        if "pos_embed" in state:
            positions = resampled(state["pos_embed"].numpy(), self.model, self.image_size)
            state["pos_embed"] = torch.from_numpy(positions)
        state = self.kind.resized(self.timm, state, self.module)
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
        self.kind.complete(self.module)

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

    kind = timm_module(model)
    arguments = {
        "num_classes": 0 if model.reads_several_tokens else model.num_classes,
        "img_size": tuple(image_size),
    }
    if config is not None:
        own = {k: v for k, v in (config.get("model_args") or {}).items() if k not in _OWN_ARGUMENTS}
        arguments |= {"in_chans": model.image_shape[2], **own}
        arguments |= kind.always_told()
    else:
        left = kind.unsupported()
        if left:
            raise NoReference(f"timm can't be told a model's {', '.join(left)}")
        objects = {name: value.make(timm) for name, value in kind.objects().items()}
        arguments |= {**kind.arguments(), **objects}
    fused = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)
    try:
        # Without values: a checkpoint's are put in their place, not copied over random ones.
        with torch.device("meta"):
            if config is not None:
                return timm.create_model(config["architecture"], **arguments)
            return kind.make(timm, arguments)
    finally:
        timm.layers.set_fused_attn(fused)


def _label(timm: types.ModuleType, kind: TimmModule, config: Mapping[str, Any] | None) -> str:
    named = kind.label if config is None else f"{config['architecture']}, as config.json says"
    return f"timm {timm.__version__}'s {named}"
