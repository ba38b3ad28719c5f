"""How stored arrays become others, on the way from a checkpoint to a model and back."""

import dataclasses
from collections.abc import Callable

import numpy as np

Transform = Callable[..., np.ndarray]
ShapeTransform = Callable[..., tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Kind:
    """How the arrays of a rule's sources become its target, and what that does to their shapes.

    Args:
        forward: takes an array for each source, returns the target's.
        shape: takes a shape for each source, returns the target's; raises `IndexError` or
            `ValueError` for shapes that can't be right.
        backward: takes the target's array and returns the source's, or a tuple of them where the
            rule has several, None for one that another rule gives; None where that can't be undone.
        axis: where several rules read a part of one source each, the axis along which the parts
            follow each other in the order of the rules.
    """

    forward: Transform
    shape: ShapeTransform
    backward: Callable[[np.ndarray], np.ndarray | tuple[np.ndarray | None, ...]] | None = None
    axis: int = 0


def permutation(*axes: int) -> Kind:
    """Return the kind that reorders the axes of one array."""
    inverse = np.argsort(axes)
    return Kind(
        forward=lambda array: array.transpose(axes),
        shape=lambda shape: tuple(shape[axis] for axis in axes),
        backward=lambda array: array.transpose(inverse),
    )


def joined(count: int) -> Kind:
    """Return the kind that joins `count` arrays of one shape along their first axis."""
    return Kind(
        forward=lambda *arrays: np.concatenate(arrays),
        shape=_joined_shape,
        backward=lambda array: tuple(np.split(array, count)),
    )


def _joined_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(shapes)) > 1:
        raise ValueError(f"The arrays must have one shape. Received: {shapes}")
    return (len(shapes) * shapes[0][0], *shapes[0][1:])


SAME = Kind(lambda array: array, lambda shape: shape, lambda array: array)
# torch.nn.Linear keeps (out, in), Dense (in, out).
LINEAR = permutation(1, 0)
# torch.nn.Conv2d keeps (out, in, height, width), Conv2D (height, width, in, out).
CONV = permutation(2, 3, 1, 0)
# A depthwise one keeps (channels, 1, height, width), DepthwiseConv2D (height, width, channels, 1).
DEPTHWISE = permutation(2, 3, 0, 1)


def thirds(start: int, stop: int, kind: Kind = SAME) -> Kind:
    """Return the kind that reads some of three equal parts of an array as another kind does.

    Args:
        start, stop: the first part that is read, and the one after the last.
        kind: what becomes of what is read.
    """

    def third(length: int) -> int:
        if length % 3:
            raise ValueError(f"Query, key and value must be of one size. Received: {length}")
        return length // 3

    return Kind(
        forward=lambda array: kind.forward(
            array[start * third(len(array)) : stop * third(len(array))]
        ),
        shape=lambda shape: kind.shape(((stop - start) * third(shape[0]), *shape[1:])),
        backward=kind.backward,
    )


@dataclasses.dataclass(frozen=True)
class Rule:
    """One target and the source tensors that it is made of.

    Args:
        source: name of the source tensor, or names; "{i}" stands for a block's number.
        target: what they become: the path of a Keras variable below the model's name, or another
            tensor's name; "{i}" and "{i:02d}" likewise.
        kind: how the tensors are transformed.
    """

    source: str | tuple[str, ...]
    target: str
    kind: Kind = SAME

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the source tensors."""
        return (self.source,) if isinstance(self.source, str) else self.source

    def at(self, index: int) -> "Rule":
        """Return the rule of one block."""
        sources = tuple(name.format(i=index) for name in self.sources)
        return Rule(sources, self.target.format(i=index), self.kind)
