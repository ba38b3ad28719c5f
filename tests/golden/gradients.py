"""Write `gradients.npz`: what TensorFlow finds for the gradients of the tests' small models.

    KERAS_BACKEND=tensorflow python tests/golden/gradients.py

The other backends are held against these arrays by `tests/saliency/test_golden.py`. Run it again
only when the small models change; the arrays must not change with the code that finds them.
"""

import importlib.util
import pathlib

import keras
import numpy as np

from kerasvit.saliency.gradients import attention_gradients

HERE = pathlib.Path(__file__).parent


def main():
    assert keras.backend.backend() == "tensorflow"
    path = HERE.parent / "saliency" / "conftest.py"
    spec = importlib.util.spec_from_file_location("saliency_fixtures", path)
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    pixels = np.random.default_rng(7).normal(size=(2, 12, 20, 3)).astype(np.float32)
    arrays = {}
    for name, model in (("vit", fixtures.make_vit()), ("cait", fixtures.make_cait())):
        logits, scores, gradients = attention_gradients(model, pixels, [1, 3])
        arrays[f"{name}/logits"] = logits
        arrays |= {f"{name}/scores/{key}": value for key, value in scores.items()}
        arrays |= {f"{name}/gradients/{key}": value for key, value in gradients.items()}
    np.savez_compressed(HERE / "gradients.npz", **arrays)


if __name__ == "__main__":
    main()
