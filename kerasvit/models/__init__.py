"""Models, their named variants and the factory that makes them."""

from kerasvit.models.base import ScoreModel as ScoreModel
from kerasvit.models.cait.model import CaiT as CaiT
from kerasvit.models.factory import create_model as create_model
from kerasvit.models.factory import list_models as list_models
from kerasvit.models.vit.model import VisionTransformer as VisionTransformer
from kerasvit.models.xcit.model import XCiT as XCiT
