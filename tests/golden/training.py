"""Write `training.npz`: loss and gradients of one training step that every backend must give.

    KERAS_BACKEND=tensorflow python tests/golden/training.py

The gradients are what one step of plain gradient descent takes off the weights.
"""

import pathlib

import keras
import numpy as np

from kerasvit.models import CaiT, VisionTransformer
from kerasvit.training.losses import LabelCrossEntropy

PATH = pathlib.Path(__file__).with_suffix(".npz")

SMALL = {
    "image_shape": (8, 12, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 20,
    "layer_scale_init_value": 0.5,
}


def models():
    """Return a distilled ViT with registers and a CaiT, their weights from one NumPy seed."""
    vit = VisionTransformer(**SMALL, use_distillation_token=True, num_registers=1)
    random = np.random.default_rng(7)
    for model in (found := {"vit": vit, "cait": CaiT(**SMALL, num_class_layers=1)}).values():
        for weight in model.weights:
            weight.assign(random.normal(0, 0.4, weight.shape).astype("float32"))
    return found


def steps() -> dict[str, np.ndarray]:
    """Return the loss and the gradient of every weight, by model and by `variable.path`."""
    random = np.random.default_rng(11)
    arrays = {}
    for name, model in models().items():
        images = random.normal(size=(4, *model.image_shape)).astype("float32")
        before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
        loss = LabelCrossEntropy(0.1)
        jit_compile = keras.backend.backend() == "jax"
        model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=jit_compile)
        arrays[f"{name}/loss"] = np.array(model.train_on_batch(images, np.arange(4)))
        for weight, old in zip(model.trainable_variables, before, strict=True):
            path = weight.path.partition("/")[2]
            arrays[f"{name}/{path}"] = old - keras.ops.convert_to_numpy(weight)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(PATH, **steps())
