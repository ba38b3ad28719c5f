"""Pictures of saliency maps: colours, overlays, sheets of any number of heads, PNG files."""

from kerasvit.render.canvas import Canvas
from kerasvit.render.colour import colourise
from kerasvit.render.comparison import comparison_sheet
from kerasvit.render.features.matches import match_sheet
from kerasvit.render.features.page import write_feature_page
from kerasvit.render.features.sheets import patch_similarity_sheet, pca_sheet
from kerasvit.render.files import write_npz, write_png
from kerasvit.render.layer_sheet import layer_sheet
from kerasvit.render.look import Look
from kerasvit.render.maps import draw_map, save_map
from kerasvit.render.overlay import STYLES, overlay
from kerasvit.render.patches import patch_sheet
from kerasvit.render.sheet import Panel, Section, sectioned_sheet, sheet
from kerasvit.render.standard import saliency_sheet
from kerasvit.render.video.animation import animate, write_gif

__all__ = [
    "STYLES",
    "Canvas",
    "Look",
    "Panel",
    "Section",
    "animate",
    "colourise",
    "comparison_sheet",
    "draw_map",
    "layer_sheet",
    "match_sheet",
    "overlay",
    "patch_sheet",
    "patch_similarity_sheet",
    "pca_sheet",
    "saliency_sheet",
    "save_map",
    "sectioned_sheet",
    "sheet",
    "write_feature_page",
    "write_gif",
    "write_npz",
    "write_png",
]
