"""Where a model looks: from attention scores and gradients to maps on the grid of patches."""

from kerasvit.saliency.explain import explain, explain_blocks
from kerasvit.saliency.figures.plotting import plot
from kerasvit.saliency.gradients import attention_gradients, input_gradients
from kerasvit.saliency.maps import attention_maps, fuse_heads, query_tokens
from kerasvit.saliency.mass import mass_mask
from kerasvit.saliency.method import Method
from kerasvit.saliency.methods.attention import block_scores
from kerasvit.saliency.methods.baselines import make_baseline
from kerasvit.saliency.methods.rollout import class_attention_rollout, rollout, rollout_matrix
from kerasvit.saliency.methods.table import METHODS
from kerasvit.saliency.methods.transitions import RolloutRule
from kerasvit.saliency.normalise import Normalised, normalise
from kerasvit.saliency.probes.attention import attention_distance, attention_entropy
from kerasvit.saliency.probes.features import (
    block_outputs,
    linear_cka,
    patch_filters,
    pca_to_rgb,
    position_similarity,
    token_norms,
)
from kerasvit.saliency.probes.sinks import (
    attention_received,
    norm_outliers,
    prefix_share,
    sink_ratio,
)
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.scores import block_keys, select_block
from kerasvit.saliency.several import SaliencyMaps
from kerasvit.saliency.targets import find_class, make_objective

__all__ = [
    "METHODS",
    "Method",
    "Normalised",
    "RolloutRule",
    "SaliencyMap",
    "SaliencyMaps",
    "attention_distance",
    "attention_entropy",
    "attention_gradients",
    "attention_maps",
    "attention_received",
    "block_keys",
    "block_outputs",
    "block_scores",
    "class_attention_rollout",
    "explain",
    "explain_blocks",
    "find_class",
    "fuse_heads",
    "input_gradients",
    "linear_cka",
    "make_baseline",
    "make_objective",
    "mass_mask",
    "norm_outliers",
    "normalise",
    "patch_filters",
    "pca_to_rgb",
    "plot",
    "position_similarity",
    "prefix_share",
    "query_tokens",
    "rollout",
    "rollout_matrix",
    "select_block",
    "sink_ratio",
    "token_norms",
]
