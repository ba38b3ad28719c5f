"""A model's weights under the names of a layout: the rules of a conversion, gone backwards."""

import functools

import keras
import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.export_layouts import ExportLayout
from kerasvit.conversion.names.rules import Rule, variables_by_path
from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel


def tensors_in(model: ScoreModel, chosen: ExportLayout, layout: str) -> dict[str, StoredTensor]:
    """Return a model's weights under the names of a layout that was chosen for it.

    Args:
        model: a model of this package.
        chosen: the layout.
        layout: what an error calls it.

    Raises:
        InputError: if the model has weights that it does not name.
        UsageError: if it has no way back from the model's weights.
    """
    variables = variables_by_path(model)
    parts: dict[str, list[_Part]] = {}
    for rule in chosen.rules.for_model(model):
        if rule.kind.backward is None:
            raise UsageError(
                f"The layout {layout!r} can't be written for such a model: {rule.target} has no "
                f"way back to {', '.join(rule.sources)}. Received: {model.name!r}. Choose another "
                "layout"
            )
        for index, source in enumerate(rule.sources):
            part = _Part(rule, index, variables[rule.target])
            if part.like(part.variable.shape) is not None:
                parts.setdefault(source, []).append(part)
    tensors = {source: _joined(found) for source, found in sorted(parts.items())}
    for name, shape in chosen.zeros.items():
        tensors[name] = StoredTensor(shape, "float32", functools.partial(np.zeros, shape, "f4"))
    return tensors


class _Part:
    """What one variable contributes to one tensor: all of it, or a part."""

    def __init__(self, rule: Rule, index: int, variable: keras.Variable):
        self.rule, self.index, self.variable = rule, index, variable

    def _backward(self, array: np.ndarray) -> np.ndarray | None:
        made = self.rule.kind.backward(array)
        return made[self.index] if isinstance(made, tuple) else made

    def like(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the part's shape; None if another rule gives it."""
        made = self._backward(np.broadcast_to(np.float32(0), tuple(shape)))
        return None if made is None else made.shape

    def read(self) -> np.ndarray:
        """Return the part."""
        value = keras.ops.convert_to_numpy(keras.ops.cast(self.variable, "float32"))
        part = self._backward(value)
        if part is None:
            raise ValueError(f"{self.rule.target} gives no part of {self.rule.sources[self.index]}")
        return part


def _joined(parts: list[_Part]) -> StoredTensor:
    likes = [part.like(part.variable.shape) for part in parts]
    shapes = [like for like in likes if like is not None]
    axis = parts[0].rule.kind.axis
    if len(parts) == 1:
        return StoredTensor(shapes[0], "float32", parts[0].read)
    length = sum(shape[axis] for shape in shapes)
    shape = (*shapes[0][:axis], length, *shapes[0][axis + 1 :])
    return StoredTensor(
        shape, "float32", lambda: np.concatenate([part.read() for part in parts], axis)
    )
