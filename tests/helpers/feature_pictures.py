"""Features of pictures that tests make up."""

import numpy as np

from kerasvit.features import PatchFeatures
from kerasvit.images.geometry import Geometry


def make_features(values, scale=8, name="picture"):
    """Return features on a photograph of `scale` pixels a patch, seen whole."""
    rows, columns = values.shape[:2]
    size = rows * scale, columns * scale
    image = np.full((*size, 3), 120, np.uint8)
    return PatchFeatures(np.float32(values), Geometry(size, (0, 0, *size), size), image, name)
