"""What may be said of weights from elsewhere: the options of `convert` and `from_pretrained`."""

import difflib
import functools
import inspect
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from kerasvit.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """The options of `kerasvit.conversion.convert` and `kerasvit.from_pretrained`, all optional.

    - num_classes: classes of the model. If it differs from the checkpoint's, the head keeps its
      random start; 0 leaves the head out. None for as many as the checkpoint has.
    - image_shape: `(height, width)`, or with channels, that the weights were trained with; needed
      where the stored positions can be of several grids.
    - num_heads, hidden_dim, mlp_dim, num_layers, patch_size, channels, layer_norm_epsilon,
      activation, layer_scale_init_value, num_registers, pooling: of the network, where the source
      does not say them or the name says others; see `VisionTransformer` and `CaiT`.
    - rope_periods: of DINOv3's rotary positions: "float32", as their formula gives them, or
      "bfloat16", as Meta's files hold them. A file that holds its own keeps them.
    - mean, std, crop_fraction, interpolation: how pictures are prepared, see
      `kerasvit.images.Preprocessing`.
    - class_names: names of the classes in the order of the logits, or a text file with a name a
      line.
    - problem_type: how the logits are read: "single_label_classification" (softmax),
      "multi_label_classification" (sigmoid) or "regression"; one logit of a classifier is a yes or
      no. See `kerasvit.models.problem.Problem`.
    - attention, attention_blocks, scores_before_mixing, distillation_output: what the model that is
      returned gives, see `ScoreModel.with_attention`; dtype: its policy.
    - arguments: further arguments of the model, such as `{"position_resampling": "bicubic"}`.
    """

    num_classes: int | None
    image_shape: Sequence[int] | None
    num_heads: int | None
    hidden_dim: int | None
    mlp_dim: int | None
    num_layers: int | None
    patch_size: int | Sequence[int] | None
    channels: int | None
    layer_norm_epsilon: float | None
    activation: str | None
    layer_scale_init_value: float | None
    num_registers: int | None
    pooling: str | None
    rope_periods: str | Sequence[float] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    crop_fraction: float | None
    interpolation: str | None
    class_names: Sequence[str] | str | pathlib.Path | None
    problem_type: str | None
    attention: str | None
    attention_blocks: Sequence[int] | None
    scores_before_mixing: bool | None
    distillation_output: str | None
    dtype: Any
    arguments: Mapping[str, Any] | None


def with_options(function: Function) -> Function:
    """Give a function with `**options: Unpack[Options]` the signature that it has in truth.

    Each option is then a keyword in `help` and `inspect.signature`, and one that is none of them is
    a `UsageError` that names the nearest.
    """
    signature = inspect.signature(function)
    plain = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = {parameter.name for parameter in plain}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in Options.__annotations__.items()
    ]

    @functools.wraps(function)
    def checked(*args: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in names and name not in Options.__annotations__:
                raise _unknown(function.__name__, name, names)
        return function(*args, **keywords)

    checked.__signature__ = signature.replace(parameters=[*plain, *options])  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]


def _unknown(function: str, name: str, others: set[str]) -> UsageError:
    known = [*others, *Options.__annotations__]
    close = difflib.get_close_matches(name, known, n=2)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UsageError(
        f"{function} has no option {name!r}. Received: {name}=... {hint}Further arguments of the "
        f"model go by arguments={{{name!r}: ...}}"
    )
