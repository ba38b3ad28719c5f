"""Import of timm, the reference implementation that conversions are proved against."""

import functools
import types

from kerasvit.errors import UsageError

_kept_alive = []


@functools.cache
def import_timm() -> types.ModuleType:
    """Return the `timm` module.

    torchvision's compiled operators do not load beside some CPU builds of PyTorch; then importing
    it fails on two operators that timm's models never call. They are declared, and the import is
    tried again.

    Raises:
        UsageError: if timm or torch is not installed.
    """
    try:
        return _import_timm()
    except ImportError as error:
        raise UsageError(
            f"The reference model needs timm and torch, and the import failed: {error}. "
            'Install them with: pip install "kerasvit[convert]"'
        ) from error


def _import_timm() -> types.ModuleType:
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept_alive.append(library)
    import timm

    return timm
