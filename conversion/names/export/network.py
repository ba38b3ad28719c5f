"""One class of networks of transformers: how its files name what timm's names stand for."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.names.export.dinov3 import notes_on_periods
from kerasvit.conversion.names.export.layout import MASK_TOKEN, ExportLayout
from kerasvit.conversion.names.export.layouts import unchecked_layout
from kerasvit.conversion.names.foreign.huggingface.encoders import RULES
from kerasvit.conversion.names.transforms import Rule
from kerasvit.models.base import ScoreModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """One class of networks of transformers.

    Args:
        model_type: its name in `config.json`.
        prefix: what the names of a backbone start with in the file of a classifier.
        base: our layout that its tensors are made from, "timm" or "dinov2".
        table: the rules by which its tensors are read.
        block_names: names of a block's tensors and others, from the rules' to the file's.
        names: further names, that stay as they are; None for all others.
        head_names: names of its heads, which have no prefix.
        zeros: tensors that its code wants and no model of ours has, as it never uses them: how
            many axes of one stand before the width of a token.
        classifier: its class with a head; None for a network that has none.
        backbone: its class without one.
        needs: what a model must have, by argument.
    """

    model_type: str
    prefix: str
    base: str = "timm"
    table: tuple[Rule, ...] = RULES
    block_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    names: tuple[str, ...] | None = None
    head_names: tuple[str, ...] = ()
    zeros: Mapping[str, int] = dataclasses.field(default_factory=dict)
    classifier: str | None = None
    backbone: str
    needs: Mapping[str, Any]

    def layout(self, model: ScoreModel) -> ExportLayout:
        """Return how the weights of a model are named."""
        prefix = self.prefix if model.num_classes else ""  # a backbone's file has none
        zeros = {
            prefix + name: np.zeros((1,) * axes + (model.hidden_dim,), "float32")
            for name, axes in self.zeros.items()
        }
        notes = ((MASK_TOKEN,) if zeros else ()) + notes_on_periods(model, "transformers")
        return dataclasses.replace(
            unchecked_layout(model, self.base),
            renaming=self._rules(prefix),
            constants=zeros,
            notes=notes,
        )

    def _file_name(self, name: str, prefix: str) -> str | None:
        """Return what the file calls a name of the rules; None for one of another network."""
        end = next((end for end in (".weight", ".bias") if name.endswith(end)), "")
        stem = name.removesuffix(end)
        if stem in self.head_names:
            return stem + end
        stored = self.block_names.get(stem)
        if stored is None and (self.names is None or stem in self.names):
            stored = stem
        return stored and f"{prefix}{stored}{end}"

    def _rules(self, prefix: str) -> tuple[Rule, ...]:
        """Return the rules all of whose sources this network has, under their names in files."""
        rules = []
        for rule in self.table:
            names = [self._file_name(source, prefix) for source in rule.sources]
            sources = tuple(name for name in names if name is not None)
            if len(sources) == len(names):
                rules.append(Rule(sources, rule.target, rule.kind))
        return tuple(rules)
