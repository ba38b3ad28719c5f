"""What must be asked: facts that only a name suggests, where other values occur."""

from kerasvit.conversion.architecture.detected import Detected
from kerasvit.conversion.architecture.sincos import kind_of_positions
from kerasvit.conversion.facts.facts import Facts, Rank, flag
from kerasvit.conversion.facts.heads import alternatives
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.errors import UsageError


def check_assumptions(
    checkpoint: Checkpoint, detected: Detected, facts: Facts, name: str | None, is_asked: bool
) -> None:
    """Raise `UsageError` where a fact is nothing but a name's and may well be another.

    The number of heads, of a width that networks with several numbers have: if nobody named the
    network, or the checkpoint is of a kind that such names do not describe. The epsilon, of
    transformers' checkpoints, whose ViT and DeiT have another one than the named models.

    Args:
        checkpoint: in timm's names.
        detected: what its tensors say.
        facts: every fact.
        name: the named model that is taken.
        is_asked: whether somebody who knows the network gave the name.
    """
    is_foreign = checkpoint.layout == "huggingface"
    heads = facts["num_heads"]
    if heads.rank <= Rank.NAME:
        width = detected.structure["hidden_dim"]
        occurring = alternatives(width, detected.family)
        if is_foreign:
            occurring = tuple(sorted({*occurring, heads.value, 12}))
        reason = _doubt(checkpoint, occurring, is_foreign, is_asked)
        if reason is not None and set(occurring) - {heads.value}:
            raise _question(checkpoint, "num_heads", occurring, reason, name, is_foreign)
    epsilon = facts["layer_norm_epsilon"]
    if is_foreign and epsilon.rank <= Rank.NAME and not detected.has_layer_scale:
        reason = "its own code takes 1e-12 or 1e-6"
        raise _question(checkpoint, "layer_norm_epsilon", (1e-12, 1e-6), reason, name, is_foreign)


def _doubt(
    checkpoint: Checkpoint, occurring: tuple[int, ...], is_foreign: bool, is_asked: bool
) -> str | None:
    """Return why a name does not decide about the heads; None where it does."""
    if len(occurring) < 2:
        return None
    if is_foreign:
        return "transformers' own number is in its config.json"
    kind = kind_of_positions(checkpoint)
    if kind is not None:
        trained = {
            "moco": "MoCo v3, whose ViT-S has 12",
            "mae": "MAE, whose small ViTs have either",
        }
        return f"its fixed sine-cosine positions are those of {trained[kind]}"
    return None if is_asked else "networks of this width have either"


def _question(checkpoint, fact, values, reason, name, is_foreign) -> UsageError:
    options = " or ".join(flag(fact, value) for value in values)
    beside = ", or put its config.json beside it" if is_foreign else ""
    named = f", or confirm the name: -m {name}" if name and reason.startswith("networks") else ""
    words = {"num_heads": "how many attention heads", "layer_norm_epsilon": "which epsilon"}[fact]
    return UsageError(
        f"{checkpoint.label} does not say {words} its network has, and another number would give a "
        f"wrong model. Received: {name or 'no name'}, but {reason}. Say {options}{beside}{named}"
    )
