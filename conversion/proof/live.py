"""A live module compared with itself: what a copy of it computes for the same images."""

import contextlib
import copy
import functools
from typing import Any

import numpy as np

from kerasvit.conversion.facts.live import core_of, is_transformers
from kerasvit.conversion.proof.outputs import NoReference, Outputs
from kerasvit.conversion.proof.timm.scores import Caught
from kerasvit.conversion.proof.transformers import eager, outputs_of
from kerasvit.models.base import ScoreModel


class LiveReference:
    """A copy of the module that the weights were taken from, at its own image size.

    Args:
        module: a `torch.nn.Module`; it is copied and left as it is.
        model: the Keras model made of it, whose outputs say what to look for.

    Raises:
        NoReference: if the module can't be copied.
    """

    def __init__(self, module: Any, model: ScoreModel):
        import torch

        self.model = model
        self.image_size = tuple(model.image_shape[:2])
        self.label = f"the live {type(module).__name__} itself"
        try:
            self._module = copy.deepcopy(module).to("cpu", torch.float32).eval()
        except Exception as error:
            raise NoReference(f"the module can't be copied: {type(error).__name__}") from error
        for part in self._module.modules():
            if hasattr(part, "fused_attn"):
                part.fused_attn = False
        self._core = core_of(self._module)

    def run(self, images: np.ndarray) -> Outputs:
        """Return what the module computes.

        Raises:
            NoReference: if it gives no output that can be compared with the model's.
        """
        import torch

        self._module.to(torch.float64 if images.dtype == np.float64 else torch.float32)
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        with torch.no_grad():
            if self._core is not None and is_transformers(self._core):
                return outputs_of(eager(self._core), self.model, pixels)
            return self._run_plain(pixels)

    def _run_plain(self, pixels: Any) -> Outputs:
        scores: dict[str, Any] = {}
        with contextlib.ExitStack() as hooks:
            caught = _hooked(hooks, self._core)
            features = self._features(pixels)
            # Attention pooling runs after the features.
            logits = self._logits(pixels, features)
            with contextlib.suppress(Exception):  # of an attention that keeps them to itself
                scores = caught.scores() if features is not None and caught else {}
        if logits is None:
            raise NoReference(f"{self.label} gives no tensor of shape {self._logits_shape(pixels)}")
        return Outputs(
            logits.numpy(),
            None if features is None else features.numpy(),
            {key: value.numpy() for key, value in scores.items()},
        )

    def _features(self, pixels: Any) -> Any:
        tokens = self.model.token_layout(pixels.shape[2:]).num_tokens
        if self.model.num_class_layers:  # the class token joins late
            tokens += 1
        wanted = (len(pixels), tokens, self.model.hidden_dim)
        forward = getattr(self._core, "forward_features", None)
        return None if forward is None else _tensor_of(lambda: forward(pixels), wanted)

    def _logits(self, pixels: Any, features: Any) -> Any:
        wanted = self._logits_shape(pixels)
        head = getattr(self._core, "forward_head", None)
        runs = [functools.partial(self._module, pixels)]
        if self._core is not None:
            runs.append(functools.partial(self._core, pixels))
        if not self.model.num_classes and head is not None and features is not None:
            # The feature before a head that the model leaves out.
            runs.insert(0, functools.partial(head, features, pre_logits=True))
        found = (_tensor_of(run, wanted) for run in runs)
        return next((logits for logits in found if logits is not None), None)

    def _logits_shape(self, pixels: Any) -> tuple[int, int]:
        return len(pixels), self.model.num_classes or self.model.hidden_dim


def _hooked(hooks: contextlib.ExitStack, core: Any) -> Caught | None:
    """Catch the scores of a network whose parts are named as timm's."""
    try:
        return hooks.enter_context(Caught(core))
    except AttributeError:
        return None


def _tensor_of(run: Any, shape: tuple[int, ...]) -> Any:
    """Return what a call gives, if it is a tensor of this shape; else None."""
    try:
        found = run()
    except Exception:  # whatever a foreign module does not like about a plain call
        return None
    is_right = tuple(getattr(found, "shape", ())) == shape
    return found.detach() if is_right and hasattr(found, "detach") else None
