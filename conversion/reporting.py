"""What a plan found and who says it, in the lines that a user reads before the work is done."""

from kerasvit.conversion.planning import Plan

_SHOWN = {
    "num_heads": "heads",
    "activation": "activation",
    "layer_norm_epsilon": "epsilon",
    "image_size": "image size",
    "position_embedding": "positions of",
    "pooling": "pooling",
    "rope_type": "rotary positions",
    "rope_periods": "rotary periods",
    "mean": "mean",
    "std": "std",
    "class_names": "class names",
    "problem_type": "problem type",
}


def found_lines(plan: Plan) -> list[str]:
    """Return what was found and who says it."""
    facts = plan.facts
    rope_type = facts.value("rope_type")
    unshown = () if rope_type == "dinov3" else ("rope_periods",)
    # RoPE-ViT has the tensors of DeiT III: that it is not taken for one must be seen.
    if rope_type is None and plan.detected.layout.name not in ("deit3", "eva"):
        unshown = (*unshown, "rope_type")
    shown = [
        f"{words} {facts[name].shown}"
        for name, words in _SHOWN.items()
        if name in facts and name not in unshown
    ]
    lines = [
        f"Found {plan.detected.summary} in the layout {plan.layout!r}.",
        f"What no tensor says: {', '.join(shown)}.",
    ]
    if "preprocessing" not in plan.record:
        lines.append(
            "Nothing says how pictures are prepared, which `predict` and `saliency` need: name "
            "the release (--release), or give --mean and --std."
        )
    is_known = plan.record.get("problem_type") or plan.record.get("class_names")
    if plan.classifier.num_classes == 1 and not is_known:
        lines.append(
            "Nothing says what the one logit means: it is read as yes or no, by its sigmoid; say "
            "otherwise with --problem-type regression."
        )
    return lines
