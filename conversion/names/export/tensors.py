"""A model's weights under the names of a layout: the rules of a conversion, gone backwards."""

import functools
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kerasvit.conversion.files.tensors import StoredTensor
from kerasvit.conversion.names.export.layout import ExportLayout
from kerasvit.conversion.names.rules import Rule, variables_by_path
from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel

Tensors = dict[str, StoredTensor]


def tensors_in(model: ScoreModel, chosen: ExportLayout, layout: str) -> Tensors:
    """Return a model's weights under the names of a layout that was chosen for it.

    Args:
        model: a model of this package.
        chosen: the layout.
        layout: what an error calls it.

    Raises:
        InputError: if the model has weights that it does not name.
        UsageError: if it has no way back from the model's weights.
    """
    variables = {path: _stored(variable) for path, variable in variables_by_path(model).items()}
    rules = chosen.rules.for_model(model)
    _check_ways_back(rules, model, layout)
    tensors = _backwards(rules, variables)
    if chosen.renaming is not None:
        tensors = _renamed(tensors, chosen.renaming, model, layout, chosen.keeps_others)
    for name, array in chosen.constants.items():
        tensors[name] = StoredTensor(array.shape, "float32", functools.partial(np.array, array))
    return dict(sorted(tensors.items()))


def _stored(variable: keras.Variable) -> StoredTensor:
    def read() -> np.ndarray:
        return keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))

    return StoredTensor(tuple(variable.shape), "float32", read)


def _check_ways_back(rules: Iterable[Rule], model: ScoreModel, layout: str) -> None:
    for rule in rules:
        if rule.kind.backward is None:
            raise UsageError(
                f"The layout {layout!r} can't be written for such a model: {rule.target} has no "
                f"way back to {', '.join(rule.sources)}. Received: {model.name!r}. Choose another "
                "layout"
            )


def _renamed(
    tensors: Tensors, rules: Iterable[Rule], model: ScoreModel, layout: str, keeps_others: bool
) -> Tensors:
    """Return tensors under the names of a layout that is read by turning them into others."""
    by_target: dict[str, Rule] = {}
    for template in rules:
        blocks = range(model.num_layers) if "{i}" in template.target else (0,)
        for rule in map(template.at, blocks):
            if rule.target in tensors:
                by_target.setdefault(rule.target, rule)
    others = {name: tensor for name, tensor in tensors.items() if name not in by_target}
    if others and not keeps_others:
        raise UsageError(
            f"The layout {layout!r} has no name for {', '.join(sorted(others)[:5])} of "
            f"{model.name!r}. Received: {len(others)} such tensors. Choose layout='timm'"
        )
    return others | _backwards(by_target.values(), tensors)


def _backwards(rules: Iterable[Rule], targets: Mapping[str, StoredTensor]) -> Tensors:
    """Return the tensors that rules make their targets of, each read out of the targets."""
    parts: dict[str, list[_Part]] = {}
    for rule in rules:
        for index, source in enumerate(rule.sources):
            part = _Part(rule, index, targets[rule.target])
            if part.shape is not None:
                parts.setdefault(source, []).append(part)
    return {source: _joined(found) for source, found in parts.items()}


class _Part:
    """What one target contributes to one tensor: all of it, or a part."""

    def __init__(self, rule: Rule, index: int, target: StoredTensor):
        self.rule, self.index, self._target = rule, index, target
        like = self._backward(np.broadcast_to(np.float32(0), target.shape))
        # None if another rule gives it.
        self.shape = None if like is None else like.shape

    def _backward(self, array: np.ndarray) -> np.ndarray | None:
        backward = self.rule.kind.backward
        assert backward is not None
        made = backward(array)
        return made[self.index] if isinstance(made, tuple) else made

    def read(self) -> np.ndarray:
        """Return the part."""
        part = self._backward(self._target.read())
        if part is None:
            raise ValueError(f"{self.rule.target} gives no part of {self.rule.sources[self.index]}")
        return part


def _joined(parts: list[_Part]) -> StoredTensor:
    shapes = [part.shape for part in parts if part.shape is not None]
    axis = parts[0].rule.kind.axis
    if len(parts) == 1:
        return StoredTensor(shapes[0], "float32", parts[0].read)
    length = sum(shape[axis] for shape in shapes)
    shape = (*shapes[0][:axis], length, *shapes[0][axis + 1 :])
    return StoredTensor(
        shape, "float32", lambda: np.concatenate([part.read() for part in parts], axis)
    )
