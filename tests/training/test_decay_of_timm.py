"""Which weights are decayed, against timm's own groups, at full size and without values."""

import math

import pytest
from modules import without_memory

from kerasvit.models import factory
from kerasvit.models.opening.without_values import without_values
from kerasvit.training.optimizers import is_decayed

# One of each family and of each kind of position.
NAMES = [
    "beitv2_base_patch16_224",
    "cait_xxs24_224",
    "deit3_small_patch16_224",
    "deit_small_distilled_patch16_224",
    "eva02_base_patch16_clip_224",
    "vit_small_patch16_dinov3",
    "vit_small_patch16_rope_mixed_ape_224",
    "vit_base_patch16_siglip_224",
    "vit_small_patch14_reg4_dinov2",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
]


@pytest.mark.parametrize("name", NAMES)
def test_as_many_weights_are_decayed_as_timm_decays(timm, name):
    from timm.optim._param_groups import param_groups_weight_decay

    with without_memory():
        module = timm.create_model(name, num_classes=10)
        groups = param_groups_weight_decay(
            module, 0.1, no_weight_decay_list=module.no_weight_decay()
        )
    # timm decays the temperatures of XCiT's heads, one number each; here they are spared.
    temperatures = [p for name, p in module.named_parameters() if name.endswith("temperature")]
    decayed_by_timm = next(group["params"] for group in groups if group["weight_decay"])
    model = without_values(lambda: factory.create_model(name, num_classes=10))
    decayed = [v for v in model.trainable_variables if is_decayed(v)]
    assert _count(decayed) == _count(decayed_by_timm) - _count(temperatures), sorted(
        v.path for v in decayed
    )


def _count(parameters):
    return sum(math.prod(parameter.shape) for parameter in parameters)
