"""Write `maps.npz`: the maps of the methods for the tests' small models, as TensorFlow finds them.

    KERAS_BACKEND=tensorflow python tests/golden/maps.py

The other backends are held against these arrays by `tests/saliency/test_golden.py`. Run it
again only when the small models or a method's definition change.
"""

import importlib.util
import pathlib

import numpy as np

from kerasvit.saliency import explain

HERE = pathlib.Path(__file__).parent
# Every method: `tests/saliency/test_golden.py` sees to it.
METHODS = {
    "attention": {},
    "rollout": {},
    "class_attention_rollout": {},
    "grad_attention": {},
    "relevance": {},
    "legrad": {},
    "headwise": {"steps": 4},
    "gradcam": {},
    "integrated_gradients": {"steps": 4},
    "smoothgrad": {"samples": 2},
    "occlusion": {},
    "rise": {"masks": 4},
    "tokencut": {"output": "values"},
    "lost": {"output": "values"},
}


def maps(models: dict, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the maps `(B, rows, columns)` by `MODEL/METHOD`."""
    found = {}
    for name, model in models.items():
        for method, options in METHODS.items():
            if method == "class_attention_rollout" and name != "cait":
                continue  # a ViT has no class attention
            result = explain(model, pixels, method, target=[1, 3], **options)
            found[f"{name}/{method}"] = result.values
    return found


if __name__ == "__main__":
    import keras

    assert keras.backend.backend() == "tensorflow"
    path = HERE.parent / "saliency" / "conftest.py"
    spec = importlib.util.spec_from_file_location("saliency_fixtures", path)
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    inputs = np.random.default_rng(7).normal(size=(2, 12, 20, 3)).astype(np.float32)
    models = {"vit": fixtures.make_vit(), "cait": fixtures.make_cait()}
    np.savez_compressed(HERE / "maps.npz", **maps(models, inputs))
