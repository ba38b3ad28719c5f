"""From a name to a model: `create_model`, and `list_models` over the names."""

import difflib
import fnmatch
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.models.base import ScoreModel
from kerasvit.models.cait import variants as cait_variants
from kerasvit.models.cait.model import CaiT
from kerasvit.models.vit import variants as vit_variants
from kerasvit.models.vit.model import VisionTransformer
from kerasvit.models.xcit import variants as xcit_variants
from kerasvit.models.xcit.model import XCiT

_FAMILIES = ((VisionTransformer, vit_variants), (CaiT, cait_variants), (XCiT, xcit_variants))


def create_model(name: str, /, *, problem_type: str | None = None, **overrides) -> ScoreModel:
    """Make an untrained model by its name.

    Args:
        name: timm's name ("cait_xxs24_224", "vit_small_patch16_224") or the upstream one
            ("dino_vits8", "dinov2_vits14", "cait_XXS24"); see `list_models`.
        problem_type: how the outputs are read, kept in the record: "single_label_classification",
            "multi_label_classification" or "regression", see `kerasvit.models.problem.Problem`.
            None: one class of several; one output is then a yes or no.
        **overrides: arguments of `CaiT` or `VisionTransformer` that differ from the variant's, such
            as `num_classes=10`, `image_shape=(160, 224, 3)`, `attention="cls"` or `dtype`.

    Returns:
        A `CaiT` or a `VisionTransformer`, built, with random weights.

    Raises:
        UsageError: if the name or an override is unknown.
    """
    model_type, arguments = variant(name)
    unknown = sorted(set(overrides) - set(model_type.arguments) - {"name", "dtype", "trainable"})
    if unknown:
        raise UsageError(
            f"{model_type.__name__} has no argument {unknown[0]!r}. Received: {name!r} with "
            f"{', '.join(unknown)}. Its arguments: {', '.join(model_type.arguments)}."
        )
    if problem_type is not None:
        overrides["record"] = {**(overrides.get("record") or {}), "problem_type": problem_type}
    return model_type(**{"name": name.replace(".", "_"), **arguments, **overrides})


def variant(name: str) -> tuple[type[ScoreModel], dict[str, Any]]:
    """Return the class and the constructor's arguments of a named variant or alias.

    Raises:
        UsageError: if the name is unknown; the message proposes close ones.
    """
    for model_type, table in _FAMILIES:
        target, overrides = table.ALIASES.get(name, (name, {}))
        if target in table.VARIANTS:
            return model_type, {**table.VARIANTS[target], **overrides}
    close = difflib.get_close_matches(name.lower(), list_models() + list(aliases()), n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(f"No model has this name. Received: {name!r}. {hint}See: kerasvit list")


def canonical_name(name: str) -> str:
    """Return the variant's own name of an alias, or the name as it is."""
    return aliases().get(name, name)


def aliases() -> dict[str, str]:
    """Return the upstream names and the variants they stand for."""
    return {alias: target for _, table in _FAMILIES for alias, (target, _) in table.ALIASES.items()}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that `create_model` knows, sorted, without the aliases.

    Args:
        pattern: shell-style pattern, such as "cait*".
    """
    names = [name for _, table in _FAMILIES for name in table.VARIANTS]
    return sorted(fnmatch.filter(names, pattern))
