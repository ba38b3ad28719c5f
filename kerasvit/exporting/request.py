"""What an export was asked for, checked before anything is written, and plain enough for JSON."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.layers.base import nested_layers
from kerasvit.models.base import ATTENTION_MODES, ScoreModel

PRECISIONS = ("float32", "float16", "int8")
SALIENCY = ("attention", "rollout")
DYNAMIC = "dynamic"


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """The options of one export.

    Args:
        attention: "full", "cls" or "none"; None: as the model is.
        blocks: numbers of the self-attention blocks whose scores are returned; None for all.
        image_size: `(height, width)` in pixels that the file takes; `DYNAMIC`: any that the patches
            divide; None: the model's own.
        precision: of `PRECISIONS`, of the weights in the file.
        saliency: of `SALIENCY`: the map itself comes out instead of the scores; None for scores.
        preprocess: whether the file takes uint8 pictures, and scales and normalises them itself.
        runtime: for a page, the folder of ONNX Runtime Web; None to look for it.

    Raises:
        UsageError: if a value is none of these, or two contradict each other.
    """

    attention: str | None = None
    blocks: Sequence[int] | None = None
    image_size: tuple[int, int] | str | None = None
    precision: str = "float32"
    saliency: str | None = None
    preprocess: bool = False
    runtime: str | None = None

    def __post_init__(self) -> None:
        _choose("attention", self.attention, (None, *ATTENTION_MODES))
        _choose("precision", self.precision, PRECISIONS)
        _choose("saliency", self.saliency, (None, *SALIENCY))
        if self.blocks is not None:
            object.__setattr__(self, "blocks", _integers("blocks", self.blocks))
        if self.image_size not in (None, DYNAMIC):
            object.__setattr__(self, "image_size", _size(self.image_size))
        scores_asked = self.attention is not None or self.blocks is not None
        _require(
            self.saliency is None or not scores_asked,
            "With saliency the map comes out instead of the scores",
            f"saliency={self.saliency!r} with attention={self.attention!r}, blocks={self.blocks!r}",
            "Leave one of them out",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments as plain values, for JSON."""
        return dataclasses.asdict(self)

    def for_page(self, model: ScoreModel) -> "ExportRequest":
        """Return what a page asks for: uint8 pictures, and attention that it can draw.

        That is the rows of the class token, or the mean map of a model that has no such query.
        """
        fields: dict[str, Any] = {"preprocess": True}
        if self.saliency is None and self.attention is None:
            fields |= {"attention": "cls"} if model.has_class_query else {"saliency": "attention"}
        return dataclasses.replace(self, **fields)


def check_model(model: ScoreModel) -> None:
    """Raise `UsageError` unless a model computes in float32 with plain weights.

    A file that is compared with a model to 1e-5 needs a model that is that exact itself.
    """
    quantized = [layer.path for layer in nested_layers(model) if layer.quantization_mode]
    _require(
        not quantized,
        "A model is exported from its float32 weights",
        f"{model.name!r}, whose {quantized[:1]} is quantized",
        "Export the model before quantize(), with precision='int8'",
    )
    policy = model.dtype_policy
    _require(
        policy.compute_dtype == policy.variable_dtype == "float32",
        "A model is exported from float32",
        f"{model.name!r} with the dtype policy {policy.name!r}",
        "Load it under keras.config.set_dtype_policy('float32'); precision='float16' stores halves",
    )


def _choose(name: str, value: Any, known: Sequence[Any]) -> None:
    _require(
        value in known,
        f"There is no such {name}",
        f"{name}={value!r}",
        f"Choose one of {', '.join(map(repr, known))}",
    )


def _integers(name: str, values: Any) -> tuple[int, ...]:
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        message = f"{name} is a list of whole numbers. Received: {name}={values!r}"
        raise UsageError(f"{message}. For instance: {name}=(0, 1)") from None


def _size(image_size: Any) -> tuple[int, ...]:
    is_text = isinstance(image_size, str)
    sides = () if is_text else _integers("image_size", image_size)
    _require(
        len(sides) == 2 and min(sides) >= 1,
        f"image_size is (height, width) in pixels, or {DYNAMIC!r}",
        f"image_size={image_size!r}",
        "For instance: image_size=(224, 224)",
    )
    return sides


def _require(condition: bool, rule: str, received: str, next_step: str) -> None:
    if not condition:
        raise UsageError(f"{rule}. Received: {received}. {next_step}.")
