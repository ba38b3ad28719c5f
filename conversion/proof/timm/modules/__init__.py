"""timm's modules of architectures: which of them makes a model of ours, and how it is told."""

from kerasvit.conversion.names.eva_rules import is_beits, is_evas
from kerasvit.conversion.proof.timm.modules.base import TimmModule
from kerasvit.conversion.proof.timm.modules.beit import BEiTModule
from kerasvit.conversion.proof.timm.modules.cait import CaiTModule, XCiTModule
from kerasvit.conversion.proof.timm.modules.eva import EvaModule
from kerasvit.conversion.proof.timm.modules.vision_transformer import DistilledModule, PlainModule
from kerasvit.models.base import ScoreModel

_FAMILIES = {"cait": CaiTModule, "xcit": XCiTModule}


def timm_module(model: ScoreModel) -> TimmModule:
    """Return a model as timm's module of its kind makes it.

    Args:
        model: a Keras model.
    """
    if model.family in _FAMILIES:
        return _FAMILIES[model.family](model)
    if is_beits(model):
        return BEiTModule(model)
    if is_evas(model):
        return EvaModule(model)
    return DistilledModule(model) if model.is_distilled else PlainModule(model)
