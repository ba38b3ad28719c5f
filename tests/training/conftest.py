import numpy as np
import pytest
from PIL import Image

from kerasvit.training.recipe.reading import parse_recipe

TINY = {
    "model": {
        "name": "cait_nano_patch4_32",
        "arguments": {
            **{"hidden_dim": 16, "num_layers": 2, "num_class_layers": 1, "num_heads": 2},
            **{"mlp_dim": 16, "drop_path_rate": 0.3},
        },
    },
    "preprocessing": {"image_size": [8, 8], "crop_fraction": 1.0},
    "augmentation": {"crop": "padded", "padding": 2},
    "schedule": {"epochs": 3, "batch_size": 8, "warmup_epochs": 1},
    "run": {"tensorboard": False, "test_batch_size": 6},
}


@pytest.fixture(scope="session")
def tiny_arguments():
    """Arguments that a tiny ViT and a tiny CaiT for 8x8 pictures share."""
    sizes = {"image_shape": (8, 8, 3), "patch_size": 4, "hidden_dim": 16}
    return {**sizes, "num_layers": 2, "num_heads": 2, "mlp_dim": 16}


@pytest.fixture(scope="session")
def coloured(tmp_path_factory):
    """A folder of 8x8 pictures: three classes, 8 for training and 2 for testing of each."""
    root = tmp_path_factory.mktemp("coloured")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 2)):
        for channel, name in enumerate(("blue", "green", "red")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 90, (8, 8, 3), np.uint8)
                pixels[..., 2 - channel] += 120
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture
def tiny(coloured):
    """Function from changed tables to a recipe of a tiny model on the coloured pictures."""

    def make(**tables):
        given = {**TINY, "data": {"path": str(coloured)}}
        for name, values in tables.items():
            given[name] = {**given.get(name, {}), **values}
        return parse_recipe(given)

    return make
