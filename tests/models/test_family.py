"""What a model says of its family."""

import pytest

from kerasvit.models import CaiT, VisionTransformer

SIZES = {
    "image_shape": (8, 16, 3),
    "patch_size": 8,
    "num_classes": 2,
    "hidden_dim": 6,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 8,
}
PLAIN = {
    "family": "vit",
    "depth": 2,
    "num_class_layers": 0,
    "has_class_token": True,
    "has_class_query": True,
    "is_distilled": False,
    "reads_patches": False,
    "gives_tokens": False,
    "reads_several_tokens": False,
    "normed_after_pooling": False,
    "head_names": ("head",),
}
GAP = {"pooling": "average", "use_class_token": False}
MAP = {"pooling": "attention", "use_class_token": False}
READS = {"reads_patches": True}
NO_CLASS = {"has_class_token": False, "has_class_query": False, "reads_patches": True}


@pytest.mark.parametrize(
    ("model_type", "arguments", "facts"),
    [
        (VisionTransformer, {}, {}),
        (VisionTransformer, {"num_classes": 0}, {"head_names": ()}),
        (VisionTransformer, GAP, {**NO_CLASS, "normed_after_pooling": True}),
        (VisionTransformer, {**GAP, "norm_after_pooling": False}, NO_CLASS),
        (
            VisionTransformer,
            {"pooling": "max"},
            {"reads_patches": True, "normed_after_pooling": True},
        ),
        (VisionTransformer, MAP, {"has_class_token": False}),
        (
            VisionTransformer,
            {"use_distillation_token": True},
            {"is_distilled": True, "head_names": ("head", "distillation_head")},
        ),
        (VisionTransformer, {"head_blocks": 2}, {"reads_several_tokens": True}),
        (VisionTransformer, {"head_patch_mean": True}, {"reads_several_tokens": True}),
        (CaiT, {"pooling": "avg"}, {"family": "cait", "depth": 4, "num_class_layers": 2} | READS),
        (CaiT, {"num_class_layers": 3}, {"family": "cait", "depth": 5, "num_class_layers": 3}),
    ],
)
def test_a_model_says_what_it_is(model_type, arguments, facts):
    model = model_type(**{**SIZES, **arguments})
    assert {name: getattr(model, name) for name in PLAIN} == {**PLAIN, **facts}
    assert [layer.name for layer in model.heads()] == list(model.head_names)
