"""What a user's options say of the network, its pictures and its classes, as facts."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvit.conversion.facts.facts import Fact, Facts, Rank, by_user, flag, shown_value
from kerasvit.errors import InputError, UsageError
from kerasvit.models.weight_options import Options

# Options that are facts under their own names.
_FACTS = (
    *("num_heads", "hidden_dim", "mlp_dim", "num_layers", "patch_size", "channels"),
    *("layer_norm_epsilon", "activation", "layer_scale_init_value", "num_registers", "pooling"),
    "rope_periods",
    *("mean", "std", "crop_fraction", "interpolation"),
    "problem_type",
)
_VIEWS = ("attention", "attention_blocks", "scores_before_mixing", "distillation_output", "dtype")


def facts_of(options: Options) -> Facts:
    """Return what options say of the network, the pictures and the classes.

    Raises:
        InputError: if the file of class names can't be read.
        UsageError: if a value is of the wrong type.
    """
    given: Mapping[str, Any] = options
    values = {name: _plain(given.get(name)) for name in _FACTS}
    if isinstance(values["patch_size"], int):
        values["patch_size"] = (values["patch_size"],) * 2
    size, channels = _image_shape(given.get("image_shape"))
    values["image_size"] = size
    if values["channels"] is None:
        values["channels"] = channels
    names = given.get("class_names")
    facts = by_user(values)
    if names is not None:
        origin = f"the file {str(names)!r}" if isinstance(names, str | pathlib.Path) else None
        read = read_class_names(names)
        facts |= Facts([Fact("class_names", read, origin or flag("class_names"), Rank.USER)])
    others = {name: v for name, v in (given.get("arguments") or {}).items() if name not in _VIEWS}
    return facts | Facts(
        Fact(name, _plain(value), flag(name), Rank.USER) for name, value in others.items()
    )


def without_overruled(said: Facts, found: Facts) -> tuple[Facts, list[str]]:
    """Return what a user says without what a file says better, and a note on that.

    The periods of rotary positions are a choice where a file holds none, and only there.

    Args:
        said: by the user.
        found: in the file.
    """
    own, asked = found.get("rope_periods"), said.get("rope_periods")
    if own is None or asked is None:
        return said, []
    note = f"Kept the file's own rotary periods, {shown_value(own.value)}."
    return said.without(["rope_periods"]), [] if asked.agrees(own) else [note]


def view_of(options: Options) -> dict[str, Any]:
    """Return the arguments of the model that say how it is used, not what it is."""
    given: Mapping[str, Any] = options
    views = {name: given.get(name) for name in _VIEWS}
    others = {n: value for n, value in (given.get("arguments") or {}).items() if n in _VIEWS}
    return {name: value for name, value in views.items() if value is not None} | others


def _image_shape(shape: Any) -> tuple[tuple[int, int] | None, int | None]:
    if shape is None:
        return None, None
    sides = tuple(shape) if isinstance(shape, list | tuple) else ()
    if len(sides) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in sides):
        raise UsageError(
            "image_shape is (height, width), or (height, width, channels), all positive. "
            f"Received: image_shape={shape!r}. Pass the size of the training"
        )
    return (sides[0], sides[1]), sides[2] if len(sides) == 3 else None


def read_class_names(names: Sequence[str] | str | pathlib.Path) -> list[str]:
    """Return class names given as they are, or by a text file with a name a line.

    Raises:
        InputError: if the file is missing, not UTF-8, or has an empty line before its end.
    """
    if not isinstance(names, str | pathlib.Path):
        return [str(name) for name in names]
    try:
        text = pathlib.Path(names).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(names)!r} must be a text file in UTF-8 with the name of a class a line. "
            f"Received: {type(error).__name__}: {error}. Name another file"
        ) from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not all(lines):
        raise InputError(
            f"{str(names)!r} must have the name of a class in every line. Received: line "
            f"{lines.index('') + 1} of {len(lines)} is empty. Name the class, or remove the line"
        )
    return lines


def check_class_names(names: Sequence[str], num_classes: int, where: str) -> None:
    """Raise `InputError` unless there is a name for each class."""
    if len(names) != num_classes:
        raise InputError(
            f"There must be a name for each class of the model. Received: {len(names)} names of "
            f"{where} for {num_classes} classes. Correct the names"
        )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
