"""How good saliency maps are: metrics without and with masks, and the report on several methods."""

from kerasvit.evaluation.curves import Curve, insertion_deletion, perturbation_curves
from kerasvit.evaluation.evaluate import METRICS, PROTOCOLS, check_reference, evaluate_saliency
from kerasvit.evaluation.files import evaluate_files, write_plot, write_report
from kerasvit.evaluation.infidelity import Hidden, hide_patches, infidelity
from kerasvit.evaluation.masks import evaluate_masks
from kerasvit.evaluation.mosaics import make_mosaics, shares_in_cell
from kerasvit.evaluation.randomisation import randomisation, rank_correlation
from kerasvit.evaluation.segmentation import SegmentationScore, dino_jaccard
from kerasvit.evaluation.statistics import Bootstrap, Sample, summarise
from kerasvit.evaluation.tables import rows

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Bootstrap",
    "Curve",
    "Hidden",
    "Sample",
    "SegmentationScore",
    "check_reference",
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
    "rows",
    "shares_in_cell",
    "summarise",
    "write_plot",
    "write_report",
]
