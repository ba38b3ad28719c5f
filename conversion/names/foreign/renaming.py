"""Foreign names of tensors, and what stands behind them in timm's: lazily, one tensor at a time."""

import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.facts.facts import certain
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.files.tensors import FLOAT_TYPES, StoredTensor, new_array
from kerasvit.conversion.names.foreign.families import refuse_other_families
from kerasvit.conversion.names.foreign.naming import Naming
from kerasvit.conversion.names.foreign.namings import NAMINGS
from kerasvit.conversion.names.transforms import SAME, Rule
from kerasvit.errors import InputError


def in_timm_names(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose tensors have timm's names, or DINOv2's where it has their layout.

    A tensor that is made of several (query, key and value become one) is put together each time it
    is read, so the memory needed stays that of one tensor. Tensors that no rule knows keep their
    own names, and a tensor is only made where all its parts are there: so what is left over or
    missing is still found, and named, by the rules that follow.

    Args:
        checkpoint: an unwrapped checkpoint.

    Returns:
        the checkpoint itself if its names are no foreign ones. Else one with timm's names, whose
        `layout` says which names it had, `arguments` what they imply for the model, and `dropped`
        what was left out.

    Raises:
        InputError: if two tensors would get one name, or shapes contradict each other, or the
            checkpoint is of a family that is not built in.
    """
    for naming in NAMINGS:
        if (names := naming.canonical(checkpoint.names)) is not None:
            checkpoint = _Renamer(checkpoint, naming, names).run()
            break
    refuse_other_families(checkpoint)
    return checkpoint


class _Renamer:
    """One run of `in_timm_names`."""

    def __init__(self, checkpoint: Checkpoint, naming: Naming, names: Mapping[str, str]):
        self._checkpoint = checkpoint
        self._naming = naming
        # Canonical name -> the tensor and its name in the file.
        self._found: dict[str, tuple[str, StoredTensor]] = {}
        for stored, canonical in names.items():
            for name, tensor in naming.split(canonical, checkpoint.tensors[stored]):
                if name in self._found:
                    raise self._twice(stored, self._found[name][0])
                self._found[name] = (stored, tensor)

    def run(self) -> Checkpoint:
        arguments = self._naming.arguments(self._found)
        values = self._naming.values({name: tensor for name, (_, tensor) in self._found.items()})
        dropped = self._drop()
        made: dict[str, StoredTensor] = {}
        used: set[str] = set()
        for rule in self._complete_rules():
            made[rule.target] = self._make(rule)
            used.update(rule.sources)
        for name, (stored, tensor) in self._found.items():
            if name in used:
                continue
            # A part of the head must be known as one, to be left out where none is wanted.
            is_known = self._naming.are_timms or name.startswith("head.")
            new = name if is_known else stored
            if new in made:
                raise self._twice(stored, new)
            made[new] = tensor
        note = f"Read the names of the layout {self._naming.name!r} as timm's."
        return dataclasses.replace(
            self._checkpoint,
            tree=made,
            layout=self._naming.name,
            arguments={**self._checkpoint.arguments, **arguments},
            facts=self._checkpoint.facts | certain("the tensors", values),
            notes=(*self._checkpoint.notes, note),
            dropped={**self._checkpoint.dropped, **dropped},
        )

    def _drop(self) -> dict[str, str]:
        """Take out what the layout leaves out, and return the reason by the name in the file."""
        reasons = self._naming.dropped(self._found)
        dropped = {}
        for name, (stored, _) in list(self._found.items()):
            for pattern, reason in reasons.items():
                if fnmatch.fnmatchcase(name, pattern):
                    dropped[stored] = reason
                    self._found.pop(name, None)
        return dropped

    def _complete_rules(self) -> list[Rule]:
        """Return the rules, at each block, whose sources are all there, in order."""
        rules: dict[str, Rule] = {}
        for name in self._found:
            for rule in self._naming.rules_of(name):
                if not all(source in self._found for source in rule.sources):
                    continue
                if rules.setdefault(rule.target, rule).sources != rule.sources:
                    other = rules[rule.target].sources[0]
                    raise self._twice(self._found[name][0], self._found[other][0])
        return list(rules.values())

    def _make(self, rule: Rule) -> StoredTensor:
        parts = [self._found[source] for source in rule.sources]
        shapes = [tensor.shape for _, tensor in parts]
        try:
            shape = tuple(rule.kind.shape(*shapes))
        except (IndexError, ValueError) as error:
            listing = ", ".join(f"{stored} {tensor.shape}" for stored, tensor in parts)
            raise InputError(
                f"{self._checkpoint.label} has tensors whose shapes can't make {rule.target!r} in "
                f"the layout {self._naming.name!r}. Received: {listing}. Get the file again"
            ) from error
        # A type that no weight can have must still be refused when the tensor is read.
        refused = [tensor.dtype for _, tensor in parts if tensor.dtype not in FLOAT_TYPES]
        read = functools.partial(_read, rule.kind.forward, parts)
        if rule.kind is SAME or refused:
            return StoredTensor(shape, (refused or [parts[0][1].dtype])[0], read)
        return StoredTensor(shape, "float32", read)

    def _twice(self, one: str, other: str) -> InputError:
        return InputError(
            f"{self._checkpoint.label} holds a tensor twice in the layout {self._naming.name!r}; "
            f"which one counts can't be told. Received: {one!r} and {other!r}. "
            "Pass a state dict with one of them"
        )


def _read(forward: Callable[..., Any], parts: list[tuple[str, StoredTensor]]) -> np.ndarray:
    made = forward(*(tensor.load(stored) for stored, tensor in parts))
    if len(parts) == 1:
        return made
    new = new_array(made.shape)
    np.copyto(new, made)
    return new
