"""ONNX Runtime on our exports against ONNX Runtime on timm's own export, interleaved.

    python benchmarks/exports/speed.py

One process, the same random weights in both files, ONNX Runtime's own threads. A figure is how many
times as fast as timm's file ours is, by the medians of the rounds.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
import pathlib
import statistics
import tempfile
import time

import numpy as np

NAMES = ("cait_xxs24_224", "vit_small_patch16_224")
ATTENTION = ("none", "cls", "full")


def write_files(name: str, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the files by contender: timm's, and ours by their scores."""
    import torch

    import kerasvit
    from kerasvit.conversion.proof.timm.package import prepare_torchvision

    prepare_torchvision()
    import timm

    source = timm.create_model(name, pretrained=False).eval()
    model = kerasvit.from_pretrained(source, verify=False)
    files = {"timm": folder / "timm.onnx"}
    torch.onnx.export(
        source,
        (torch.randn(2, 3, 224, 224),),
        files["timm"],
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )
    for attention in ATTENTION:
        files[attention] = folder / f"{attention}.onnx"
        kerasvit.export(model, files[attention], "onnx", attention=attention)
    return files


def times(files: dict[str, pathlib.Path], batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round by contender; each round runs all, in turn."""
    import onnxruntime

    sessions = {name: onnxruntime.InferenceSession(path) for name, path in files.items()}
    images = np.random.default_rng(0).normal(size=(batch, 224, 224, 3)).astype("float32")
    measured: dict[str, list[float]] = {name: [] for name in files}
    for turn in range(rounds + 2):
        for name, session in sessions.items():
            pixels = images.transpose(0, 3, 1, 2).copy() if name == "timm" else images
            start = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: pixels})
            if turn >= 2:
                measured[name].append(time.perf_counter() - start)
    return measured


def main() -> None:
    """Print a row for each model and batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| model | batch | timm, ms |", " | ".join(ATTENTION), "|", flush=True)
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            files = write_files(name, pathlib.Path(folder))
            for batch in (1, 8):
                measured = times(files, batch, options.rounds)
                medians = {key: statistics.median(values) for key, values in measured.items()}
                ratios = [f"{medians['timm'] / medians[key]:.2f}" for key in ATTENTION]
                row = [name, str(batch), f"{1000 * medians['timm']:.1f}", *ratios]
                print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
