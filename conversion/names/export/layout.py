"""How a model's weights are named in a file of another code."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasvit.conversion.names.rules import Layout, Rule

MASK_TOKEN = (
    "mask_token is zeros: only training reads it, and no model of kerasvit keeps what it was."
)


@dataclasses.dataclass(frozen=True)
class ExportLayout:
    """How a model's weights are named.

    Args:
        rules: the layout, as for reading.
        renaming: the rules by which the names that are wanted are read as those of `rules`; None
            where these are wanted.
        keeps_others: whether a tensor that `renaming` does not make keeps its name.
        constants: small tensors that the code wants and that are no weights of the model.
        notes: what they are, in sentences.
    """

    rules: Layout
    renaming: tuple[Rule, ...] | None = None
    keeps_others: bool = False
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
