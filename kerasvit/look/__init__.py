"""Drawing from Python what `kerasvit saliency` draws: sheets, overlays, arrays, viewers, videos.

`saliency` reads pictures and videos and writes files; `Explainer` and `Artist` do the same for one
picture in memory:

    explainer = Explainer("dinov2_vits14.keras", Settings(method="rollout"))
    explained = explainer.explain(explainer.prepare(image))
    sheet, overlay = Artist(explainer).sheet(explained), Artist(explainer).overlay(explained)
"""

from kerasvit.look.artist import Artist
from kerasvit.look.classes import Prediction
from kerasvit.look.explainer import Explained, Explainer, PreparedPicture
from kerasvit.look.models import LoadedModel, load_model
from kerasvit.look.records.merging import merge_manifests
from kerasvit.look.results import Drawn, Listener, Run
from kerasvit.look.run import saliency, video
from kerasvit.look.settings import Settings

__all__ = [
    "Artist",
    "Drawn",
    "Explained",
    "Explainer",
    "Listener",
    "LoadedModel",
    "Prediction",
    "PreparedPicture",
    "Run",
    "Settings",
    "load_model",
    "merge_manifests",
    "saliency",
    "video",
]
