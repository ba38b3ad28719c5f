"""A model of ours as one of timm's modules makes it: what timm is told, how it reads a file."""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kerasvit.conversion.architecture.fitting import default_arguments
from kerasvit.conversion.facts.timm import POOLINGS
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel

TIMMS_POOLINGS = {ours: theirs for theirs, ours in POOLINGS.items()}
# Parts of names that timm has not.
OWN_NAMES = ("_nano_patch4_", "_large_plus_")
# Ours and timm's, with the same values.
SAME = {
    "hidden_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "use_qkv_bias": "qkv_bias",
    "layer_scale_init_value": "init_values",
    "patch_size": "patch_size",
}
# They are handled by themselves, or change no number of an evaluation.
_HANDLED = {
    *("mlp_dim", "image_shape", "num_classes", "position_embedding", "pooling", "record"),
    *("norm_after_pooling", "layer_norm_epsilon", "mlp_type", "attention", "attention_blocks"),
    *("position_resampling", "dropout_rate", "attention_dropout_rate", "drop_path_rate"),
    *("distillation_output", "scores_before_mixing", "use_distillation_token", "ignore_remainder"),
    *("head_blocks", "head_patch_mean", "head_interleaved"),
}


@dataclasses.dataclass(frozen=True)
class TimmObject:
    """Something of timm's that an argument is.

    Args:
        text: the expression that makes it.
        make: makes it, given the package.
    """

    text: str
    make: Callable[[types.ModuleType], Any]


class TimmModule:
    """A model of ours as one of timm's modules makes it.

    Args:
        model: a Keras model.
    """

    name: ClassVar[str]
    class_name: ClassVar[str]
    same: ClassVar[Mapping[str, str]]
    # Handled by a module itself, or what its class does without being told.
    handled: ClassVar[frozenset[str]] = frozenset({"activation"})

    def __init__(self, model: ScoreModel) -> None:
        self.model: Any = model
        self.is_named = is_named(model)
        # What timm's table of names says, in our words.
        self.variant = factory.variant(self.label)[1] if self.is_named else {}
        self.base = self._base()
        self.differing = differences(model, self.base)

    def _base(self) -> dict[str, Any]:
        """Return the arguments that timm's model has without being told."""
        if self.is_named:
            return {**default_arguments(type(self.model)), **self.variant}
        return self._class_defaults()

    def _class_defaults(self) -> dict[str, Any]:
        """Return what timm's class has without being told; None for what it has otherwise."""
        return {
            name: None if name in self.same or name == "mlp_dim" else value
            for name, value in default_arguments(type(self.model)).items()
        }

    def unsupported(self) -> list[str]:
        """Return the arguments that timm's constructor can't be told."""
        return sorted(set(self.differing) - set(self.same) - self.handled - _HANDLED)

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments for what the model has otherwise than the variant of its name.

        The epsilon is left out, which timm takes as a norm: see `objects`.
        """
        differing = self.differing
        arguments = {
            theirs: differing[ours] for ours, theirs in self.same.items() if ours in differing
        }
        if self.model.image_shape[2] != 3:
            arguments["in_chans"] = self.model.image_shape[2]
        if {"hidden_dim", "mlp_dim"} & set(differing):
            arguments["mlp_ratio"] = self.ratio(self.model.mlp_dim)
        return arguments

    def always_told(self) -> dict[str, Any]:
        """Return the arguments that a hub config's are overruled by."""
        return {}

    def ratio(self, width: int) -> float:
        """Return a share of the tokens' width that timm's rounding makes this width."""
        return (width + 0.5) / self.model.hidden_dim

    def objects(self) -> dict[str, TimmObject]:
        """Return the arguments that are classes of timm, such as the norm by its epsilon."""
        objects = {}
        if "layer_norm_epsilon" in self.differing:
            objects["norm_layer"] = self.norm_layer()
        if "activation" in self.differing:
            name = self.model.activation
            objects["act_layer"] = TimmObject(
                f"timm.layers.get_act_layer({name!r})", lambda timm: timm.layers.get_act_layer(name)
            )
        return objects

    def norm_layer(self) -> TimmObject:
        """Return the class of the model's norms, with their epsilon."""
        name = "RmsNorm" if getattr(self.model, "norm_type", "layer") == "rms" else "LayerNorm"
        epsilon = self.model.layer_norm_epsilon
        return TimmObject(
            f"functools.partial(timm.layers.{name}, eps={epsilon!r})",
            lambda timm: functools.partial(getattr(timm.layers, name), eps=epsilon),
        )

    def make(self, timm: types.ModuleType, arguments: Mapping[str, Any]) -> Any:
        """Return timm's model, by its name where it has one, else by its class."""
        if self.is_named:
            return timm.create_model(self.label, **arguments)
        return getattr(getattr(timm.models, self.name), self.class_name)(**arguments)

    def call(self) -> str:
        """Return the call that makes timm's model of the same name and arguments, as text."""
        told = {
            "num_classes": self.model.num_classes,
            "img_size": tuple(self.model.image_shape[:2]),
            **self.arguments(),
        }
        listing = [f"{name}={value!r}" for name, value in told.items()]
        listing += [f"{name}={value.text}" for name, value in self.objects().items()]
        if self.is_named:
            listing.insert(0, repr(self.label))
        maker = "create_model" if self.is_named else f"models.{self.class_name}"
        return f"timm.{maker}({', '.join(listing)})"

    @property
    def label(self) -> str:
        """What timm calls the model: a name, or its class's."""
        return factory.canonical_name(self.model.name) if self.is_named else self.class_name

    def renamed(self, timm: types.ModuleType, state: dict[str, Any], module: Any) -> dict[str, Any]:
        """Return the tensors of a file in timm's names, by timm's own filter.

        Args:
            timm: the package.
            state: tensors by the names of the file.
            module: timm's model at the size that the file is of.
        """
        return getattr(timm.models, self.name).checkpoint_filter_fn(state, module)

    def resized(self, timm: types.ModuleType, state: dict[str, Any], module: Any) -> dict[str, Any]:
        """Return the tensors, in timm's names, resampled to the size of timm's model."""
        return state

    def complete(self, module: Any) -> None:
        """Give values to what timm keeps in no file, once the weights are loaded."""


def is_named(model: ScoreModel) -> bool:
    """Tell whether a model's name is one that this package and timm know."""
    name = factory.canonical_name(model.name)
    return name in factory.list_models() and not any(own in name for own in OWN_NAMES)


def differences(model: ScoreModel, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model that are others than these."""
    pairs = {name: (getattr(model, name), base.get(name)) for name in model.arguments}
    return {
        name: own[0] if name == "patch_size" and own[0] == own[1] else own
        for name, (own, other) in pairs.items()
        if own != (_pair(other) if name == "patch_size" else other)
    }


def _pair(size: Any) -> Any:
    return (size, size) if isinstance(size, int) else size
