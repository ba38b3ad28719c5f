"""Makes saved_before.tar.xz: models saved by kerasvit as it was at commit 9123adc.

Not to be made anew, but by the code of that commit: the files stand for those that people have.
    git worktree add OLD 9123adc; cd OLD; KERAS_BACKEND=torch python HERE/saved_before.py
"""

import pathlib
import tarfile
import tempfile

import keras
import numpy as np

TINY = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 1,
    "num_heads": 3,
    "mlp_dim": 20,
}
RECORD = {
    "source": "random weights",
    "class_names": ["a", "b", "c", "d", "e"],
    "preprocessing": {"input_size": [16, 24]},
}
SAVED = {
    "vit": {
        "pooling": "attention",
        "use_class_token": False,
        "num_registers": 2,
        "position_embedding": "patches",
        "layer_scale_init_value": 0.5,
        "record": RECORD,
    },
    "deit": {
        "use_distillation_token": True,
        "distillation_output": "both",
        "attention": "cls",
        "attention_blocks": [0],
    },
    "cait": {
        "num_class_layers": 1,
        "layer_scale_init_value": 0.5,
        "scores_before_mixing": True,
        "record": RECORD,
    },
}


def images():
    """Return the images whose outputs are stored."""
    return np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype(np.float32)


def outputs(model) -> dict[str, np.ndarray]:
    """Return logits and scores of the images by name."""
    logits, sa_scores, ca_scores = model(images())
    tensors = {"logits": logits, **sa_scores, **ca_scores}
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in tensors.items()}


def main() -> None:
    """Write the archive beside this file."""
    import kerasvit

    archive = pathlib.Path(__file__).with_suffix(".tar.xz")
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        for name, arguments in SAVED.items():
            model_type = kerasvit.CaiT if name == "cait" else kerasvit.VisionTransformer
            model = model_type(**TINY, **arguments, name=name)
            rng = np.random.default_rng(1)
            for weight in model.weights:
                weight.assign(rng.normal(scale=0.4, size=weight.shape).astype(np.float32))
            arrays |= {f"{name}/{key}": value for key, value in outputs(model).items()}
            model.save(place / f"{name}.keras")
            model.save_weights(place / f"{name}.weights.h5")
        np.savez_compressed(place / "outputs.npz", **arrays)
        with tarfile.open(archive, "w:xz") as file:
            for path in sorted(place.iterdir()):
                file.add(path, path.name)


if __name__ == "__main__":
    main()
