"""timm's arguments for the models of its BEiT module, and their tables at other sizes.

Source: timm/models/beit.py `Beit.__init__`.
"""

import types
import warnings
from typing import Any

from kerasvit.conversion.proof.timm.modules.base import SAME, TIMMS_POOLINGS
from kerasvit.conversion.proof.timm.modules.eva import EvaLike

_TABLE = ".relative_position_bias_table"


class BEiTModule(EvaLike):
    """A `VisionTransformer` with relative position biases."""

    name, class_name = "beit", "Beit"
    same = SAME
    handled = frozenset({"use_relative_position_bias", "use_key_bias"})

    def _read_out(self) -> dict[str, Any]:
        return {
            "global_pool": TIMMS_POOLINGS[self.model.pooling],
            "use_fc_norm": self.model.normed_after_pooling,
        }

    def _kind(self) -> dict[str, Any]:
        return {
            "swiglu_mlp": self.model.mlp_type == "gated",
            "scale_mlp": self.model.use_mlp_sub_norm,
            "use_abs_pos_emb": self.model.position_embedding == "all",
            "use_rel_pos_bias": True,
        }

    def resized(self, timm: types.ModuleType, state: dict[str, Any], module: Any) -> dict[str, Any]:
        """Return the tensors with the tables of biases resampled by timm."""
        grid, stored = module.patch_embed.grid_size, self.model.token_layout().grid
        shape = ((2 * grid[0] - 1) * (2 * grid[1] - 1) + 3, self.model.num_heads)
        with warnings.catch_warnings():
            # PyTorch complains about how timm indexes.
            warnings.simplefilter("ignore", UserWarning)
            return {
                name: timm.layers.resize_rel_pos_bias_table(value, grid, shape, stored)
                if name.endswith(_TABLE)
                else value
                for name, value in state.items()
            }
