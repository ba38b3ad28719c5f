"""BEiT and BEiT v2: relative position biases, no learned positions, no biases of keys.

Facts: timm/models/beit.py of timm 1.0.31 (Apache-2.0); Bao et al. 2022
(https://arxiv.org/abs/2106.08254), Peng et al. 2022 (https://arxiv.org/abs/2208.06366).
"""

from kerasvit.models.vit.variants.families import SCALE, Arguments, Variants, family

_BEIT: Arguments = {
    "pooling": "average",
    "position_embedding": "none",
    "use_relative_position_bias": True,
    "use_key_bias": False,
}

BEIT: Variants = {
    **family(
        "beit_{size}_patch{patch}_{image}",
        [("base", 16, (224, 384))],
        **_BEIT,
        layer_scale_init_value=0.1,
    ),
    **family(
        "beit_{size}_patch{patch}_{image}", [("large", 16, (224, 384, 512))], **_BEIT, **SCALE
    ),
    **family(
        "beitv2_{size}_patch{patch}_{image}",
        [("base", 16, (224,)), ("large", 16, (224,))],
        **_BEIT,
        **SCALE,
    ),
}
