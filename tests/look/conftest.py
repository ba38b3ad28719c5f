"""The shipped model once, a photograph, and an animation."""

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit import look


@pytest.fixture(scope="session")
def shipped():
    """The small CaiT in the package, loaded."""
    return look.load_model(kerasvit.from_pretrained())


@pytest.fixture
def photograph(tmp_path):
    """A picture of 40x60 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, size=(10, 15, 3), dtype=np.uint8)
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels).resize((60, 40), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="session")
def save_animation():
    """Function from a folder to a GIF of three pictures of 32x48 pixels, all different."""

    def save(folder):
        rng = np.random.default_rng(1)
        frames = [
            Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)).resize((48, 32), 0)
            for _ in range(3)
        ]
        path = folder / "moving.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
        return path

    return save


@pytest.fixture
def animation(save_animation, tmp_path):
    """An animation of this test's own."""
    return save_animation(tmp_path)
