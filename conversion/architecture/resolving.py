"""From facts to a model: every argument with the origin of its value, or a question to the user."""

import dataclasses
from typing import Any

from kerasvit.conversion.architecture import fitting, xcit
from kerasvit.conversion.architecture.detected import Detected
from kerasvit.conversion.architecture.positions import (
    Reading,
    image_size_facts,
    named_readings,
)
from kerasvit.conversion.architecture.questions import check_assumptions
from kerasvit.conversion.facts.facts import Fact, Facts, Rank, by_name, certain, flag
from kerasvit.conversion.facts.live import ORIGIN as LIVE
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.errors import InputError, UsageError
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.vit.readout import NORMED_AFTER

# Arguments that say how a model is used, or trained on, and not what network it is.
_NOT_FACTS = ("attention", "attention_blocks", "record", "image_shape", "num_classes")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The network of a checkpoint.

    Args:
        model_type: its class here.
        name: the named model that it is, or comes nearest to; None for none.
        facts: every argument with its origin.
    """

    model_type: type[ScoreModel]
    name: str | None
    facts: Facts

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        height, width = self.facts.value("image_size")
        return height, width, self.facts.value("channels")

    @property
    def assumed(self) -> list[Fact]:
        """The facts that decide what is computed and that nothing but a name or default says."""
        decisive = ("num_heads", "activation", "layer_norm_epsilon")
        return [self.facts[name] for name in decisive if self.facts[name].rank <= Rank.NAME]

    def make(self, num_classes: int, **others: Any) -> ScoreModel:
        """Return the model with random weights.

        Args:
            num_classes: of its head; 0 for none.
            **others: arguments that are no facts: `attention`, `dtype`.

        Raises:
            UsageError: if a value is out of its range.
        """
        arguments = {
            **self.facts.among(self.model_type.arguments).values_by_name(),
            "image_shape": self.image_shape,
            "num_classes": num_classes,
            **others,
        }
        try:
            if self.name is not None:
                return factory.create_model(self.name, **arguments)
            return self.model_type(**{"name": self.model_type.family, **arguments})
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(" ".join(str(error).split())) from error


def resolve(
    checkpoint: Checkpoint,
    detected: Detected,
    facts: Facts,
    name: str | None,
    is_asked: bool = True,
    is_strict: bool = True,
) -> Architecture:
    """Find the value and the origin of every argument of a checkpoint's model.

    Args:
        checkpoint: in timm's names.
        detected: what its tensors say.
        facts: what is known beside the tensors.
        name: the architecture's name; None to find the one that fits.
        is_asked: whether somebody who knows the network gave the name.
        is_strict: whether the named model must have the architecture of the tensors.

    Raises:
        InputError: if origins contradict each other, the named model is another one, or the
            position embedding can't be read.
        UsageError: if only the user can say what the network is; the message says which option.
    """
    model_type = fitting.model_type_of(detected)
    _check_options(facts, model_type, detected)
    known = facts | certain("the tensors", _tensor_facts(detected, facts))
    for one in known:
        known[one]  # raises where its origins contradict each other
    is_asked = is_asked and name is not None
    if name is None:
        name = fitting.choose_name(detected, known, checkpoint.label)
    elif is_strict and not _is_live(facts):
        fitting.check_structure(detected, name, facts, checkpoint.label)
    elif factory.variant(name)[0] is not model_type:
        name = None
    variant = {} if name is None else factory.variant(name)[1]
    known |= _grid_facts(detected, known, name, is_asked, checkpoint.label)
    known |= _name_facts(name, variant, model_type)
    known |= _read_out_facts(detected, known)
    architecture = Architecture(model_type, name, known)
    _check_pooling(architecture)
    check_assumptions(checkpoint, detected, known, name, is_asked)
    return architecture


def _is_live(facts: Facts) -> bool:
    return any(fact.origin == LIVE for fact in facts.at_least(Rank.CERTAIN).values())


def _tensor_facts(detected: Detected, facts: Facts) -> dict[str, Any]:
    structure = dict(detected.structure)
    if structure.get("block_type") == "encoder":  # or one whose norms are at its end
        del structure["block_type"]
    structure["channels"] = detected.channels
    if detected.norm_after_pooling:
        structure["norm_after_pooling"] = True
    if detected.has_layer_scale and "layer_scale_init_value" not in facts:
        structure["layer_scale_init_value"] = 1e-5
    return structure


def _grid_facts(
    detected: Detected, known: Facts, name: str | None, is_asked: bool, label: str
) -> Facts:
    fits = fitting.fitting_variants(detected)
    variants = [factory.variant(one)[1] for one in ([name] if name else []) + fits]
    if detected.family == "xcit":
        return xcit.image_size_facts(known, variants, _origin(name))
    named = named_readings(variants, detected)
    if is_asked and named:  # those of other sizes count where they are of the same kind
        named = [one for one in named if one.kind == named[0].kind]
    return image_size_facts(detected, known, named, _origin(name), label)


def _origin(name: str | None) -> str:
    return name or "of the class"


def _name_facts(name: str | None, variant: dict[str, Any], model_type: type[ScoreModel]) -> Facts:
    own = {key: value for key, value in variant.items() if key not in _NOT_FACTS}
    defaults = fitting.default_arguments(model_type)
    others = {key: value for key, value in defaults.items() if key not in (*own, *_NOT_FACTS)}
    if name is not None:
        # What a named model does not say is the default of its class, and meant so.
        return by_name(name, {**others, **own})
    return Facts(
        Fact(key, value, "the default", Rank.ASSUMED)
        for key, value in others.items()
        if key not in ("num_heads", "pooling")
    )


def _read_out_facts(detected: Detected, known: Facts) -> Facts:
    """Return how the tokens become one feature, where the tensors decide against the name."""
    if detected.family in ("cait", "xcit"):
        return Facts()
    pooling = known.value("pooling")
    has_class = detected.structure.get("use_class_token", True)
    values: dict[str, Any] = {}
    if pooling is None:
        pooling = (
            "attention" if detected.has_attention_pooling else "class" if has_class else "average"
        )
        values["pooling"] = pooling
    if detected.norm_after_pooling and pooling == "class" and _is_weak(known, "pooling"):
        values["pooling"] = "average"
    after = known.value("norm_after_pooling")
    if not detected.norm_after_pooling and _is_weak(known, "norm_after_pooling"):
        norms_after = pooling in NORMED_AFTER if after is None else after
        if norms_after and detected.structure["use_final_norm"]:
            values["norm_after_pooling"] = False
    return Facts(
        Fact(key, value, "the names of the tensors", Rank.LAYOUT) for key, value in values.items()
    )


def _is_weak(facts: Facts, name: str) -> bool:
    return name not in facts or facts[name].rank <= Rank.NAME


def _check_options(facts: Facts, model_type: type[ScoreModel], detected: Detected) -> None:
    """Raise `UsageError` for an option that the family has not."""
    allowed = (*model_type.arguments, "image_size", "channels")
    for fact in facts.at_least(Rank.USER).without(allowed).values():
        if fact.rank is Rank.USER:
            raise UsageError(
                f"{model_type.__name__} has no argument {fact.name!r}. Received: {fact.origin} "
                f"{fact.value!r} for {detected.summary}. Its arguments: {', '.join(allowed)}"
            )


def _check_pooling(architecture: Architecture) -> None:
    fact = architecture.facts.get("pooling")
    if fact is None or "pooling" in architecture.model_type.arguments or fact.value == "class":
        return
    raise InputError(
        f"{architecture.model_type.__name__} reads its class token. Received: pooling="
        f"{fact.shown}. Say {flag('pooling', 'class')} to convert it with that read-out"
    )


__all__ = ["Architecture", "Reading", "resolve"]
