"""Import of timm, the reference implementation that conversions are proved against."""

import functools
import re
import types
from typing import Any

from kerasvit.errors import UsageError

# Older ones can't make a model without its values; with this one and newer the tests were run.
OLDEST = (1, 0, 26)
_kept_alive: list[Any] = []


@functools.cache
def import_timm() -> types.ModuleType:
    """Return the `timm` module.

    torchvision's compiled operators do not load beside some CPU builds of PyTorch; then importing
    it fails on two operators that timm's models never call. They are declared, and the import is
    tried again.

    Raises:
        UsageError: if timm or torch is not installed, can't be imported, or is too old.
    """
    try:
        timm = _import_timm()
    except Exception as error:  # a package that is broken may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UsageError(
            f"The reference model needs timm and torch, and the import failed. Received: {reason}. "
            'Install them with: pip install "kerasvit[convert]"'
        ) from error
    numbers = tuple(map(int, re.findall(r"\d+", timm.__version__)[:3]))
    if numbers < OLDEST:
        raise UsageError(
            f"The reference model needs timm {'.'.join(map(str, OLDEST))} or newer. Received: timm "
            f'{timm.__version__}. Install it with: pip install "kerasvit[convert]"'
        )
    return timm


def prepare_torchvision() -> None:
    """Make torchvision importable beside a PyTorch that its compiled operators were not built for.

    Raises:
        ImportError: if torch is not installed.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except ImportError:
        pass
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept_alive.append(library)


def _import_timm() -> types.ModuleType:
    prepare_torchvision()
    import timm

    return timm
