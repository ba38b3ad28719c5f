"""Every foreign way of naming tensors that is known: a new one is a module here and a row below."""

from kerasvit.conversion.names.foreign import (
    augreg,
    clip_tower,
    dinov3,
    eva,
    mmpretrain,
    monai,
    perception_encoder,
    torchvision,
    xcit,
)
from kerasvit.conversion.names.foreign.huggingface import beit, encoders, towers
from kerasvit.conversion.names.foreign.naming import Naming

NAMINGS: tuple[Naming, ...] = (
    beit.HUGGINGFACE,
    encoders.NAMING,
    towers.NAMING,
    *dinov3.NAMINGS,
    perception_encoder.CORE,
    *clip_tower.NAMINGS,
    perception_encoder.OTHERS,
    *eva.NAMINGS,
    torchvision.NAMING,
    mmpretrain.NAMING,
    monai.NAMING,
    xcit.NAMING,
    *augreg.NAMINGS,
)
