"""Features of patches over several pictures: components as colours, likeness, matches."""

from kerasvit.features.components import FeaturePCA, pca
from kerasvit.features.likeness import similarity
from kerasvit.features.matching import Matches, match
from kerasvit.features.patches import PatchFeatures, extract, extract_prepared

__all__ = [
    "FeaturePCA",
    "Matches",
    "PatchFeatures",
    "extract",
    "extract_prepared",
    "match",
    "pca",
    "similarity",
]
