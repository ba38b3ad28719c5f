"""How many attention heads networks of one width have: what a name alone can't always decide."""

from kerasvit.models import factory

# Published networks beside the named ones: MoCo v3's ViT-S, MAE-Lite's ViT-Ti, and transformers'
# default of 12 heads, which a config that is not there may have kept.
_ELSEWHERE = {192: (12,), 384: (12,)}


def alternatives(width: int, family: str) -> tuple[int, ...]:
    """Return the numbers of heads that occur for a width, sorted.

    Args:
        width: `hidden_dim`.
        family: "vit", "cait" or "xcit".
    """
    named = {
        variant["num_heads"]
        for model_type, variant in map(factory.variant, factory.list_models())
        if variant["hidden_dim"] == width and model_type.family == family
    }
    elsewhere = _ELSEWHERE.get(width, ()) if family == "vit" else ()
    return tuple(sorted(named.union(elsewhere)))
