"""Taking a model's head off, and putting another one on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.layers.base import nested_layers, without_random_start
from kerasvit.models.base import ScoreModel
from kerasvit.models.freezing import TRAINABLE_LAYERS
from kerasvit.models.problem import MULTI_LABEL
from kerasvit.training.data.features import preprocessing_of
from kerasvit.training.linear_probe import LinearProbe

# What the record of a fine-tuned model keeps of the one that it comes from.
_KEPT_OF_BASE = ("release", "source", "reference", "test_accuracy")


def with_new_head(
    model: ScoreModel,
    class_names: Sequence[str],
    image_size: tuple[int, int] | None = None,
    *,
    many_labels: bool = False,
    one_logit: bool = False,
    **overrides: Any,
) -> ScoreModel:
    """Return a copy of a model with a new head for other classes, its kernel and bias zero.

    Args:
        model: a kerasvit model, with a head or without; it stays as it is.
        class_names: the new classes, at least two; they go into the record.
        image_size: `(height, width)` that pictures are prepared at from now on; None as before.
        many_labels: whether each class is a label of its own, of which there may be one alone.
        one_logit: whether one logit decides between the two classes.
        **overrides: other arguments of the model that change no weight's shape apart from the
            head's, such as `drop_path_rate=0.1` or, of a ViT, `head_patch_mean=True`.

    Returns:
        A model of the same class with its own weights. Its record names the model that it comes
        from under `base`.

    Raises:
        InputError: if there are fewer than two classes, or two of the same name.
        UsageError: if the model is quantized, the record has no preprocessing, or the patches do
            not fill the new image size.

    Source: a head of zeros, as Dosovitskiy et al. 2021, appendix B.1.1
    (https://arxiv.org/abs/2010.11929), fine-tune.
    """
    names = [str(name) for name in class_names]
    if len(names) < (1 if many_labels else 2) or len(set(names)) < len(names):
        raise InputError(
            f"A classifier has two or more classes of different names. Received: {names[:5]}."
        )
    if one_logit and (len(names) != 2 or many_labels):
        raise UsageError(
            "One logit decides between two classes, one of which each picture has. "
            f"Received: {len(names)} {'labels' if many_labels else 'classes'}. Leave it out"
        )
    if any(layer.quantization_mode for layer in nested_layers(model)):
        raise UsageError(
            "A quantized model cannot be fine-tuned. Received: one with int8 or int4 layers. "
            "Fine-tune the float model, then quantize."
        )
    config = model.get_config()
    # What was frozen for another task may learn in this one.
    num_outputs = 1 if one_logit else len(names)
    config |= {**overrides, "num_classes": num_outputs, "trainable": True, TRAINABLE_LAYERS: {}}
    config["record"] = _new_record(model, names, image_size)
    if many_labels or one_logit:
        config["record"]["problem_type"] = MULTI_LABEL
    with without_random_start():
        new = type(model).from_config(config)
    _copy_weights(model, new)
    return new


def _new_record(model: ScoreModel, names: list[str], image_size) -> dict[str, Any]:
    old = dict(model.record)
    record = {
        "source": f"fine-tuned from {old.get('release') or model.name}",
        "base": {key: old[key] for key in _KEPT_OF_BASE if key in old},
        "preprocessing": preprocessing_of(model, image_size).to_dict(),
        "class_names": names,
    }
    return {**record, "licence": old["licence"]} if old.get("licence") else record


def _copy_weights(source: ScoreModel, target: ScoreModel) -> None:
    """Copy every weight but those of the heads.

    The arrays are copied too: JAX would share them, and training gives the memory of those that it
    starts from away.
    """
    values = {weight.path: weight for weight in source.weights}
    for layer in target.layers:
        if layer.name not in target.head_names:
            for weight in layer.weights:
                weight.assign(np.array(keras.ops.convert_to_numpy(values[weight.path])))


def set_head(model: ScoreModel, probe: LinearProbe) -> None:
    """Make a linear probe of a model's features its head.

    Args:
        model: a kerasvit model with a head.
        probe: fitted to the outputs of `model.headless()`; of a distilled model to both tokens'
            features in one axis. Each head then gets its part, doubled, for their mean is the
            model's output.
    """
    heads = model.heads()
    kernels = np.split(probe.kernel * len(heads), len(heads))
    for head, kernel in zip(heads, kernels, strict=True):
        head.kernel.assign(kernel.astype(np.float32))
        head.bias.assign(probe.bias.astype(np.float32))
