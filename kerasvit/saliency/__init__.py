"""Where a model looks: from attention scores to maps on the grid of patches, in NumPy."""

from kerasvit.saliency.explain import METHODS, explain, explain_blocks
from kerasvit.saliency.maps import attention_maps, fuse_heads, query_tokens
from kerasvit.saliency.mass import mass_mask
from kerasvit.saliency.normalise import Normalised, normalise
from kerasvit.saliency.result import SaliencyMap
from kerasvit.saliency.rollout import class_attention_rollout, rollout, rollout_matrix
from kerasvit.saliency.scores import block_keys, select_block
from kerasvit.saliency.transitions import RolloutRule

__all__ = [
    "METHODS",
    "Normalised",
    "RolloutRule",
    "SaliencyMap",
    "attention_maps",
    "block_keys",
    "class_attention_rollout",
    "explain",
    "explain_blocks",
    "fuse_heads",
    "mass_mask",
    "normalise",
    "query_tokens",
    "rollout",
    "rollout_matrix",
    "select_block",
]
