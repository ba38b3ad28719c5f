"""Fixed sine-cosine positions: they give away who trained a ViT whose heads nobody states.

Facts: moco-v3 `vits.py` `build_2d_sincos_position_embedding`, mae `util/pos_embed.py`
`get_2d_sincos_pos_embed`. MoCo v3's ViT-S has 12 heads where timm's has 6, and of MAE's
formula there are ViT-S and ViT-Ti with either number: timm's name does not decide there.
"""

import math

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint

_POSITIONS = "pos_embed"
# Wider than the rounding of bfloat16.
_TOLERANCE = 1e-2


def kind_of_positions(checkpoint: Checkpoint) -> str | None:
    """Return "moco" or "mae" where the positions are that formula's fixed ones, else None."""
    if _POSITIONS not in checkpoint.names:
        return None
    shape = checkpoint.shape(_POSITIONS)
    if len(shape) != 3 or shape[2] % 4 or math.isqrt(max(shape[1] - 1, 0)) ** 2 != shape[1] - 1:
        return None
    side = math.isqrt(shape[1] - 1)
    if side < 2:
        return None
    positions = checkpoint[_POSITIONS][0]
    if np.abs(positions[0]).max() > _TOLERANCE:
        return None
    for kind in ("moco", "mae"):
        if np.abs(positions[1:] - _formula(side, shape[2], kind)).max() <= _TOLERANCE:
            return kind
    return None


def _formula(side: int, width: int, kind: str) -> np.ndarray:
    quarter = width // 4
    frequency = 1.0 / 10000 ** (np.arange(quarter) / quarter)
    angles = np.arange(side)[:, None] * frequency
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    rows = np.repeat(waves, side, axis=0)
    columns = np.tile(waves, (side, 1))
    # MoCo v3 writes the axis that changes slowly first, MAE the other one.
    halves = (rows, columns) if kind == "moco" else (columns, rows)
    return np.concatenate(halves, axis=1)
