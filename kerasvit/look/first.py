"""Which maps are drawn where no method is asked for."""

from typing import Any

from kerasvit.saliency import METHODS

# What speaks for a class, and in its place where it has no meaning for a model. Measured by
# benchmarks/first_map.py, see docs/measurements/saliency_methods.md.
LEADS = ("relevance", "grad_attention")
LEAD_OPTIONS: dict[str, dict[str, Any]] = {"relevance": {"times_attention": True}}
BESIDE = "attention"

# Scores and gradients of every block that may be held for a map that nobody asked for by name.
_LARGEST = 4 * 2**30


def first_methods(
    model: Any, image_size: tuple[int, int], explains_class: bool = False
) -> tuple[str, ...]:
    """Return the methods for one picture, the one that leads first.

    A model with classes shows what speaks for the class, and its attention beside it; one without
    classes its attention. So does one whose scores of such a large picture would fill the memory,
    and any model on a backend without gradients.

    Args:
        model: a kerasvit model.
        image_size: `(height, width)` of its input.
        explains_class: whether a target is asked for, a class or the feature.
    """
    if not (model.num_classes or explains_class) or model.gives_tokens:
        return (BESIDE,)
    tokens = model.token_layout(image_size).num_tokens
    size = 2 * 4 * model.num_heads * tokens**2 * model.num_layers
    if size > _LARGEST and not (explains_class or model.attends_to_channels):
        return (BESIDE,)
    rows = [METHODS[name] for name in LEADS]
    leads = [row.name for row in rows if row.has_backend() and row.reason_against(model) is None]
    return (*leads[:1], BESIDE)
