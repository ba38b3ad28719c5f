"""Every format, kind of model and attention mode, run in its real runtime: the worst deviations.

    python benchmarks/exports/checks.py                    # six formats, five models, three modes
    python benchmarks/exports/checks.py --dynamic-size     # the same, pictures of three sizes
    python benchmarks/exports/checks.py --architectures    # every architecture, small, to ONNX

Weights are random and each is away from where it starts; a figure is the largest difference of any
output at a batch of 1 or 5, as `kerasvit.export` finds it.
"""

import argparse
import fnmatch
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

MODES = ("full", "cls", "none")
BACKENDS = ("torch", "tensorflow", "jax")
SMALL = {"hidden_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_dim": 48, "num_classes": 5}
KINDS = {
    "CaiT": ("CaiT", {"num_class_layers": 2}),
    "ViT": ("VisionTransformer", {}),
    "distilled DeiT": ("VisionTransformer", {"use_distillation_token": True}),
    "DINOv2 with registers": (
        "VisionTransformer",
        {"num_registers": 4, "layer_scale_init_value": 0.1, "mlp_type": "gated"},
    ),
    "SigLIP pooling": ("VisionTransformer", {"use_class_token": False, "pooling": "attention"}),
}


def make_model(kind: str):
    """Return a small model of a kind."""
    import kerasvit

    name, arguments = KINDS[kind]
    model = getattr(kerasvit, name)(
        **{**SMALL, **arguments, "image_shape": (24, 32, 3), "patch_size": 8}
    )
    return randomised(model)


def randomised(model):
    """Return the model with every weight away from where it starts.

    Sums are of about 1: a softmax that larger weights saturate turns the last bit of a score's
    logit into its fifth digit, whatever computes it.
    """
    random = np.random.default_rng(0)
    for weight in model.weights:
        scale = np.prod(weight.shape[:-1]) ** -0.5 if len(weight.shape) in (2, 4) else 0.3
        values = random.normal(0, scale, weight.shape).astype("float32")
        # A variance is not negative.
        weight.assign(0.5 + abs(values) if weight.path.endswith("moving_variance") else values)
    return model


def measure(model, name: str, mode: str, image_size: str | None = None) -> str:
    """Export, and return the worst deviation or what went wrong."""
    import kerasvit
    from kerasvit.exporting import FORMATS

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"out{FORMATS[name].suffix}"
        try:
            check = kerasvit.export(model, path, name, attention=mode, image_size=image_size).check
        except Exception as error:
            return f"FAILED: {' '.join(str(error).split())[:200]}"
    return f"{check['worst']:.1e}" if check["checked"] else check["why"]


def formats_and_modes(image_size: str | None) -> None:
    """Print a row for each format of this process' backend, and kind of model."""
    import keras

    from kerasvit.exporting import FORMATS

    for name, target in FORMATS.items():
        # A page is the ONNX file once more.
        if target.backend == keras.backend.backend() and name != "web":
            for kind in KINDS:
                model = make_model(kind)
                found = [measure(model, name, mode, image_size) for mode in MODES]
                print("|", " | ".join([name, kind, *found]), "|", flush=True)


def architectures(pattern: str) -> None:
    """Print what ONNX makes of every architecture of a pattern, two blocks deep."""
    import kerasvit

    sizes = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 64, "num_classes": 3}
    for name in fnmatch.filter(kerasvit.list_models(), pattern):
        patch = kerasvit.models.factory.variant(name)[1].get("patch_size", 16)
        height, width = (patch, patch) if isinstance(patch, int) else patch
        model = kerasvit.create_model(name, **sizes, image_shape=(3 * height, 4 * width, 3))
        print("|", name, "|", measure(randomised(model), "onnx", "full"), "|", flush=True)


def main() -> None:
    """Run one process a backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="?", const="*", metavar="PATTERN")
    parser.add_argument("--dynamic-size", action="store_true")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        if options.architectures:
            return architectures(options.architectures)
        return formats_and_modes("dynamic" if options.dynamic_size else None)
    for backend in BACKENDS[:1] if options.architectures else options.backends:
        environment = {**os.environ, "KERAS_BACKEND": backend}
        command = [sys.executable, __file__, *sys.argv[1:], "--here"]
        subprocess.run(command, env=environment, check=True)
    return None


if __name__ == "__main__":
    main()
