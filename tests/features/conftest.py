import numpy as np
import pytest
from feature_pictures import make_features


@pytest.fixture
def made():
    """Return two pictures of different grids with a few directions of the variance in common."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(7, 12)) * np.array([9, 5, 4, 3, 1, 1, 1])[:, None]
    return [
        make_features(random.normal(size=(*grid, 7)) @ mixing + 2, name=name)
        for grid, name in (((5, 6), "one"), ((4, 9), "two"))
    ]


@pytest.fixture
def planted():
    """Two pictures with an object inside, whose features differ from those of the ground."""
    random = np.random.default_rng(1)
    ground, thing = random.normal(size=(2, 16))
    pictures, masks = [], []
    for rows, columns, (top, left) in ((8, 10, (2, 3)), (7, 9, (3, 2))):
        mask = np.zeros((rows, columns), bool)
        mask[top : top + 3, left : left + 4] = True
        values = np.where(mask[..., None], thing, ground)
        pictures.append(make_features(values + random.normal(0, 0.05, values.shape)))
        masks.append(mask)
    return pictures, masks
