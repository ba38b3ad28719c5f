"""timm's arguments for CaiT and XCiT.

Source: timm/models/cait.py `Cait.__init__`, timm/models/xcit.py `Xcit.__init__`.
"""

from typing import Any

from kerasvit.conversion.proof.timm.modules.base import SAME, TimmModule


class CaiTModule(TimmModule):
    """A `CaiT`."""

    name, class_name = "cait", "Cait"
    same = SAME | {"num_class_layers": "depth_token_only"}

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments; the width of the class blocks' MLPs is one of its own."""
        arguments = super().arguments()
        if "mlp_ratio" in arguments and self.model.mlp_dim != 4 * self.model.hidden_dim:
            arguments["mlp_ratio_token_only"] = arguments["mlp_ratio"]
        return arguments


class XCiTModule(TimmModule):
    """An `XCiT`."""

    name, class_name = "xcit", "Xcit"
    same = SAME | {
        "num_class_layers": "cls_attn_layers",
        "layer_scale_init_value": "eta",
        "use_tokens_norm": "tokens_norm",
    }

    def arguments(self) -> dict[str, Any]:
        """Return timm's arguments, its spelling of the pooling among them."""
        pooling = {"average": "avg", "none": ""}.get(self.model.pooling)
        return super().arguments() | ({} if pooling is None else {"global_pool": pooling})
