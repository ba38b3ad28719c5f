"""A toy task with known answers: which texture is planted in a picture of noise, and where.

    KERAS_BACKEND=jax python tests/golden/planted.py

trains a ViT and a CaiT on it in a few minutes and writes their weights, in half precision, to
`planted_vit.npz` and `planted_cait.npz`. The tests plant textures and look where the methods point.
"""

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
PATCH, GRID, CLASSES = 4, (5, 6), 4
SIZES = {
    "image_shape": (GRID[0] * PATCH, GRID[1] * PATCH, 3),
    "patch_size": PATCH,
    "num_classes": CLASSES,
    "hidden_dim": 24,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 48,
}


def textures():
    """Return four textures of one patch, each of mean 0: stripes, bars, a board, and colours."""
    rows, columns = np.mgrid[:PATCH, :PATCH]
    signs = [rows % 2, columns % 2, (rows + columns) % 2, rows // 2 + columns // 2 == 1]
    grey = np.stack([2.0 * sign - 1 for sign in signs])
    tints = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, -1, 0.5]])
    return (grey[..., None] * tints[:, None, None]).astype(np.float32)


def plant(count, seed, planted=2):
    """Return pictures `(count, h, w, 3)`, their classes and places `(count, planted)`.

    The classes of a picture differ, and so do the places, which count the patches row by row.
    """
    rng = np.random.default_rng(seed)
    height, width, _ = SIZES["image_shape"]
    pictures = rng.normal(0, 0.3, (count, height, width, 3)).astype(np.float32)
    order = rng.random((count, CLASSES)).argsort(axis=1)[:, :planted]
    places = rng.random((count, GRID[0] * GRID[1])).argsort(axis=1)[:, :planted]
    for picture, classes, patches in zip(pictures, order, places, strict=True):
        for number, place in zip(classes, patches, strict=True):
            top, left = PATCH * (place // GRID[1]), PATCH * (place % GRID[1])
            strength = rng.uniform(0.7, 1.3)
            picture[top : top + PATCH, left : left + PATCH] += strength * textures()[number]
    return pictures, order, places


def make(name):
    """Return the untrained model."""
    from kerasvit.models import CaiT, VisionTransformer

    if name == "vit":
        return VisionTransformer(**SIZES)
    return CaiT(**SIZES, num_class_layers=2, layer_scale_init_value=0.1)


def load(name):
    """Return the trained model."""
    model = make(name)
    with np.load(HERE / f"planted_{name}.npz") as arrays:
        for variable in model.weights:
            variable.assign(arrays[variable.path.split("/", 1)[1]].astype(np.float32))
    return model


def train(name):
    """Train a model to name one of two planted textures, and write its weights."""
    import keras

    keras.utils.set_random_seed(0)
    model = make(name)
    count, batch, epochs = 12800, 64, 12
    steps = count * epochs // batch
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps, warmup_target=2e-3, warmup_steps=100)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss, metrics=["accuracy"])
    pictures, classes, _ = plant(count, seed=1)
    model.fit(pictures, classes[:, 0], batch_size=batch, epochs=epochs, verbose=2)
    pictures, classes, _ = plant(500, seed=2, planted=1)
    print(name, model.evaluate(pictures, classes[:, 0], verbose=0))
    arrays = {
        variable.path.split("/", 1)[1]: np.asarray(keras.ops.convert_to_numpy(variable))
        for variable in model.weights
    }
    np.savez_compressed(
        HERE / f"planted_{name}.npz",
        **{key: array.astype(np.float16) for key, array in arrays.items()},
    )


if __name__ == "__main__":
    for model_name in ("vit", "cait"):
        train(model_name)
