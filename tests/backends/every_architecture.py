"""Keras' OpenVINO and NumPy backends against PyTorch: every architecture at reduced size.

    python tests/backends/every_architecture.py                  # all, both backends
    python tests/backends/every_architecture.py --names "cait_xxs*"  # some

Each backend is a process of its own. Weights are random, each away from where it starts; pictures
are no squares, two in a batch. Logits must be within 2e-5 of the largest one (or of 1), every score
within 1e-6: the bars of the stored outputs that TensorFlow, JAX and PyTorch are held to.
"""

import argparse
import fnmatch
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

BACKENDS = ("openvino", "numpy")
BARS = {"logits": 2e-5, "scores": 1e-6}
_SMALL = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 64, "num_classes": 3}


def write_outputs(patterns: Sequence[str], path: str) -> None:
    """Write what the models compute on this process' backend."""
    import keras

    import kerasvit

    arrays = {}
    for name in _matching(kerasvit.list_models(), patterns):
        model = _small_model(kerasvit, name)
        images = np.random.default_rng(3).normal(size=(2, *model.image_shape)).astype("float32")
        logits, sa_scores, ca_scores = model(images)
        # Of a model that reads every token, or has two heads, there are several outputs.
        for index, tensor in enumerate(keras.tree.flatten(logits)):
            arrays[f"{name} logits {index}"] = keras.ops.convert_to_numpy(tensor)
        for key, scores in {**sa_scores, **ca_scores}.items():
            arrays[f"{name} {key}"] = keras.ops.convert_to_numpy(scores)
    np.savez(path, **arrays)


def _matching(names, patterns) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _small_model(kerasvit, name: str):
    patch = kerasvit.models.factory.variant(name)[1].get("patch_size", 16)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    model = kerasvit.create_model(name, **_SMALL, image_shape=(3 * height, 4 * width, 3))
    random = np.random.default_rng(0)
    for weight in model.weights:
        # Sums of about 1, so that no softmax is saturated.
        scale = np.prod(weight.shape[:-1]) ** -0.5 if len(weight.shape) in (2, 4) else 0.3
        values = random.normal(0, scale, weight.shape).astype("float32")
        weight.assign(0.5 + abs(values) if weight.path.endswith("moving_variance") else values)
    return model


def deviations(outputs, reference) -> dict[str, dict[str, float]]:
    """Return the largest deviation of logits and of scores by name of the architecture."""
    worst: dict[str, dict[str, float]] = {}
    if set(outputs) != set(reference):
        raise AssertionError(f"other outputs: {sorted(set(outputs) ^ set(reference))}")
    for key, wanted in reference.items():
        name, kind = key.split(" ")[:2]
        kind = kind if kind == "logits" else "scores"
        scale = max(1.0, float(np.abs(wanted).max())) if kind == "logits" else 1.0
        deviation = float(np.abs(outputs[key] - wanted).max()) / scale
        of_model = worst.setdefault(name, {"logits": 0.0, "scores": 0.0})
        # A value that is no number is no agreement.
        of_model[kind] = max(of_model[kind], deviation if deviation == deviation else np.inf)
    return worst


def compare(patterns: Sequence[str], backends=BACKENDS) -> dict[str, dict[str, dict[str, float]]]:
    """Run the processes, and return the deviations by backend."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for backend in ("torch", *backends):
            path = pathlib.Path(folder, f"{backend}.npz")
            environment = {**os.environ, "KERAS_BACKEND": backend}
            command = [sys.executable, __file__, "--write", str(path), "--names", *patterns]
            subprocess.run(command, env=environment, check=True)
            with np.load(path) as stored:
                outputs = dict(stored)
            if backend == "torch":
                reference = outputs
            else:
                found[backend] = deviations(outputs, reference)
    return found


def main() -> int:
    """Print the worst of each backend; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", default=["*"], help="of architectures, or patterns")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_outputs(options.names, options.write)
        return 0
    missed = False
    for backend, by_name in compare(options.names, options.backends).items():
        for kind, bar in BARS.items():
            name = max(by_name, key=lambda name: by_name[name][kind])
            over = [name for name, worst in by_name.items() if worst[kind] > bar]
            missed = missed or bool(over)
            print(
                f"{backend}: {len(by_name)} architectures, {kind} within {by_name[name][kind]:.1e} "
                f"({name}), bar {bar:.0e}, missed by {len(over)}: {', '.join(over[:9])}"
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
