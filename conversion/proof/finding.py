"""Which network a conversion is compared with: the source's own, never one of our guess."""

import functools
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.facts.facts import Facts, Rank
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.proof import transformers
from kerasvit.conversion.proof.live import LiveReference
from kerasvit.conversion.proof.outputs import NoReference, Reference, comparison_size
from kerasvit.conversion.proof.parity import Parity, measure
from kerasvit.conversion.proof.timm.model import TimmReference
from kerasvit.conversion.proof.timm.package import import_timm
from kerasvit.conversion.sources.opening import Opened
from kerasvit.errors import KerasViTError
from kerasvit.models.base import ScoreModel

# What transformers' configs call the facts that an option may have decided otherwise.
_CONFIG_KEYS = {
    "num_heads": "num_attention_heads",
    "layer_norm_epsilon": "layer_norm_eps",
    "activation": "hidden_act",
}
_ACTIVATIONS = {"gelu_tanh": "gelu_pytorch_tanh"}


def compare_with_source(
    model: ScoreModel,
    opened: Opened,
    checkpoint: Checkpoint,
    facts: Facts,
    spec: ScoreModel | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Parity:
    """Measure how far a model is from its source's own network.

    A live module is compared with itself. A checkpoint with a config.json of transformers with
    transformers' own model of it, else with timm's of the same facts; any other with timm's, made
    of timm's own table and the facts of the file.

    Args:
        model: the model.
        opened: the source.
        checkpoint: in timm's names, as it was assigned.
        facts: every fact with its origin.
        spec: a model of the arguments that the source says; None for `model`, which was made by
            them.
        report: called with each line that says what is being done.

    Raises:
        NoReference: if there is no such network, or none that can run.
    """
    is_live = opened.module is not None and not opened.is_joined
    makers = (_of_module,) if is_live else (_of_transformers, _of_timm)
    reasons = []
    for make in makers:
        try:
            reference = make(spec or model, opened, checkpoint, facts)
            return _guarded(
                functools.partial(measure, model, reference, report), f"{reference.label} can't run"
            )
        except NoReference as error:
            reasons.append(str(error))
    raise NoReference("; ".join(reason for reason in reasons if reason))


def _of_module(
    model: ScoreModel, opened: Opened, checkpoint: Checkpoint, facts: Facts
) -> Reference:
    return LiveReference(opened.module, model)


def _of_transformers(
    model: ScoreModel, opened: Opened, checkpoint: Checkpoint, facts: Facts
) -> Reference:
    configs = opened.configs
    if configs.kind != "huggingface" or opened.is_joined:
        raise NoReference
    if not transformers.is_installed():
        raise NoReference("transformers is not installed")
    config = dict(configs.config)
    for name, key in _CONFIG_KEYS.items():
        if facts[name].rank is Rank.USER:
            value = facts[name].value
            config[key] = _ACTIVATIONS.get(value, value)
    architectures = configs.whole.get("architectures") or [None]
    size = comparison_size(model)
    return transformers.TransformersReference(config, architectures[0], opened.stored, model, size)


def _of_timm(model: ScoreModel, opened: Opened, checkpoint: Checkpoint, facts: Facts) -> Reference:
    return _guarded(
        lambda: TimmReference(
            import_timm(), model, checkpoint, comparison_size(model), _timm_config(opened, facts)
        ),
        "timm can't make this model",
    )


def _timm_config(opened: Opened, facts: Facts) -> Any:
    """Return the hub config, unless an option says otherwise than it."""
    is_overruled = any(fact.rank is Rank.USER for fact in facts.values())
    return opened.configs.config if opened.configs.kind == "timm" and not is_overruled else None


def _guarded(work: Callable[[], Any], failure: str) -> Any:
    """Return what a call of a foreign package returns; any error of it is a `NoReference`."""
    try:
        return work()
    except NoReference:
        raise
    except KerasViTError as error:
        raise NoReference(str(error)) from error
    except Exception as error:  # a newer or older package may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise NoReference(f"{failure}: {reason}") from error
