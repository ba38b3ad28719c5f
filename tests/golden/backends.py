"""Write `backends.npz`: outputs of the shipped CaiT and a small ViT that every backend must give.

KERAS_BACKEND=jax python tests/golden/backends.py
"""

import pathlib

import numpy as np
from keras import ops

import kerasvit

PATH = pathlib.Path(__file__).with_suffix(".npz")


def small_vit() -> kerasvit.VisionTransformer:
    """Return a distilled ViT with registers whose every weight comes from one NumPy seed."""
    model = kerasvit.VisionTransformer(
        image_shape=(32, 48, 3),
        patch_size=8,
        num_classes=7,
        hidden_dim=48,
        num_layers=12,
        num_heads=4,
        mlp_dim=96,
        use_distillation_token=True,
        num_registers=2,
        layer_scale_init_value=1.0,
        name="golden_vit",
    )
    random = np.random.default_rng(7)
    for weight in model.weights:
        scale = weight.shape[0] ** -0.5 if len(weight.shape) == 2 else 0.5
        weight.assign(random.normal(0, scale, weight.shape).astype("float32"))
    return model


def outputs() -> dict[str, np.ndarray]:
    """Return logits and the score maps of the first and last blocks of both models."""
    random = np.random.default_rng(11)
    arrays = {}
    for name, model in (("cait", kerasvit.from_pretrained()), ("vit", small_vit())):
        images = random.normal(size=(3, *model.image_shape)).astype("float32")
        logits, sa_scores, ca_scores = model(images)
        arrays[f"{name}_logits"] = ops.convert_to_numpy(logits)
        for key, scores in {**sa_scores, **ca_scores}.items():
            if key.startswith("ca") or key in (min(sa_scores), max(sa_scores)):
                arrays[f"{name}_{key}"] = ops.convert_to_numpy(scores)[:1]
    return arrays


if __name__ == "__main__":
    np.savez_compressed(PATH, **outputs())
