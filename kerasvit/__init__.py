"""Vision Transformers for Keras 3 that show where they look.

ViT, DeiT, DINO, DINOv2, CaiT and XCiT on TensorFlow, JAX and PyTorch. A model returns
`logits, sa_scores, ca_scores`; `kerasvit.saliency` turns the scores into maps.
"""

import importlib

from kerasvit.backend import choose_backend as _choose_backend
from kerasvit.backend import is_command_line as _is_command_line

__version__ = "0.1.0"

_HOMES = {
    "AttentionCallback": "kerasvit.callbacks",
    "CaiT": "kerasvit.models",
    "VisionTransformer": "kerasvit.models",
    "XCiT": "kerasvit.models",
    "create_model": "kerasvit.models",
    "export": "kerasvit.exporting.exporter",
    "list_models": "kerasvit.models",
    "from_pretrained": "kerasvit.pretrained",
    "reuse_memory": "kerasvit.memory",
    "KerasViTError": "kerasvit.errors",
}
_MODULES = (
    "callbacks",
    "conversion",
    "evaluation",
    "exporting",
    "features",
    "images",
    "layers",
    "look",
    "models",
    "releases",
    "render",
    "saliency",
    "training",
)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str):
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"kerasvit.{name}")
    raise AttributeError(f"module 'kerasvit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


# `keras.saving.load_model` finds our classes only once they are registered, so importing the
# package imports them. The command line chooses its backend first, then imports what it needs.
if not _is_command_line():
    _choose_backend()
    importlib.import_module("kerasvit.models")
