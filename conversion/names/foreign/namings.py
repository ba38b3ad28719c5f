"""Every foreign way of naming tensors that is known: a new one is a module here and a row below."""

from kerasvit.conversion.names.foreign import (
    augreg,
    clip_tower,
    huggingface,
    huggingface_towers,
    mmpretrain,
    monai,
    torchvision,
)
from kerasvit.conversion.names.foreign.naming import Naming

NAMINGS: tuple[Naming, ...] = (
    huggingface.NAMING,
    huggingface_towers.NAMING,
    *clip_tower.NAMINGS,
    torchvision.NAMING,
    mmpretrain.NAMING,
    monai.NAMING,
    *augreg.NAMINGS,
)
