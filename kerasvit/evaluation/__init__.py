"""How good saliency maps are: metrics without and with masks, and the report on several methods."""

from kerasvit.evaluation.curves import Curve, insertion_deletion, perturbation_curves
from kerasvit.evaluation.evaluate import METRICS, PROTOCOLS, evaluate_saliency
from kerasvit.evaluation.files import evaluate_files, write_plot, write_report
from kerasvit.evaluation.infidelity import Hidden, hide_patches, infidelity
from kerasvit.evaluation.masks import evaluate_masks
from kerasvit.evaluation.mosaics import make_mosaics, shares_in_cell
from kerasvit.evaluation.randomisation import randomisation, rank_correlation
from kerasvit.evaluation.segmentation import SegmentationScore, dino_jaccard

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Curve",
    "Hidden",
    "SegmentationScore",
    "dino_jaccard",
    "evaluate_files",
    "evaluate_masks",
    "evaluate_saliency",
    "hide_patches",
    "infidelity",
    "insertion_deletion",
    "make_mosaics",
    "perturbation_curves",
    "randomisation",
    "rank_correlation",
    "shares_in_cell",
    "write_plot",
    "write_report",
]
