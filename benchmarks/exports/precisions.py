"""float32, float16 and int8 in each runtime that has them: size, deviation, top-1, speed.

    python benchmarks/exports/precisions.py --data cifar10-jpeg.zip

The shipped models on every tenth picture of CIFAR-10's test set. Deviations are what
`kerasvit.export` finds on random pictures. Speeds are how many times as fast as float32 in the same
runtime, by the medians of rounds in which each precision runs once, for one picture and for 32.
"""

import argparse
import io
import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

MODELS = ("cait_nano_patch4_32.cifar10", "vit_nano_patch4_32.cifar10")
FORMATS = {"torch": ("onnx", "openvino"), "tensorflow": ("litert",)}
BATCHES = (1, 32)


def read_pictures(data: pathlib.Path, names: list[str], step: int):
    """Return pixels `(N, 32, 32, 3)` and class numbers of every `step`-th test picture."""
    from PIL import Image

    with zipfile.ZipFile(data) as archive:
        members = sorted(name for name in archive.namelist() if "test/" in name and "." in name)
        members = members[::step]
        pixels = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in members]
    labels = [names.index(pathlib.PurePosixPath(name).parent.name) for name in members]
    return np.stack(pixels), np.array(labels)


def write_files(model, name: str, folder: pathlib.Path) -> dict[str, dict]:
    """Return what was compared by precision, with the path and its size; or why there is none."""
    import kerasvit
    from kerasvit.errors import KerasViTError
    from kerasvit.exporting import FORMATS

    written: dict[str, dict] = {}
    for precision in FORMATS[name].precisions:
        path = folder / f"{precision}{FORMATS[name].suffix}"
        try:
            export = kerasvit.export(model, path, name, precision=precision, preprocess=True)
        except KerasViTError as error:
            written[precision] = {"refused": str(error)}
            continue
        made = folder.glob(f"{precision}.*")
        size = sum(file.stat().st_size for file in made if file.suffix != ".json")
        written[precision] = {**export.check, "path": path, "bytes": size}
    return written


def speeds(runs: dict, pixels: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return by precision how many times as fast as float32 it is, for each of `BATCHES`."""
    ratios: dict[str, list[float]] = {name: [] for name in runs}
    for batch in BATCHES:
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn, (name, run) in itertools.product(range(rounds + 1), runs.items()):
            start = time.perf_counter()
            run(pixels[:batch])
            if turn:
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        for name in runs:
            ratios[name].append(medians["float32"] / medians[name])
    return ratios


def print_rows(release: str, name: str, options) -> None:
    """Measure and print a row for each precision of a model in a format."""
    import kerasvit
    from kerasvit.exporting import FORMATS

    model = kerasvit.from_pretrained(release, attention="full")
    pixels, labels = read_pictures(options.data, model.record["class_names"], options.step)
    with tempfile.TemporaryDirectory() as folder:
        written = write_files(model, name, pathlib.Path(folder))
        kept = {key: check for key, check in written.items() if "path" in check}
        runs = {key: FORMATS[name].load(check["path"]) for key, check in kept.items()}
        ratios = speeds(runs, pixels, options.rounds)
        for precision, check in written.items():
            row = [release.split("_")[0], name, precision]
            if precision not in runs:
                print("|", " | ".join([*row, check["refused"]]), "|", flush=True)
                continue
            parts = [runs[precision](part)["logits"] for part in np.array_split(pixels, 20)]
            hits = np.concatenate(parts).argmax(axis=-1) == labels
            scores = max(v for key, v in check["deviations"].items() if key != "logits")
            figures = [f"{check['bytes'] / 1e6:.2f}", f"{check['deviations']['logits']:.1e}"]
            figures += [f"{scores:.1e}", f"{100 * hits.mean():.1f}"]
            figures += [f"{ratio:.2f}" for ratio in ratios[precision]]
            print("|", " | ".join([*row, *figures]), "|", flush=True)


def main() -> None:
    """Run one process a backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="cifar10-jpeg.zip")
    parser.add_argument("--step", type=int, default=10, help="of every how many pictures one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.backend:
        for release, name in itertools.product(MODELS, FORMATS[options.backend]):
            print_rows(release, name, options)
        return
    columns = "model | format | weights | MB | logits off by | scores off by | top-1, %"
    print("|", columns, "|", " | ".join(f"speed, {batch}" for batch in BATCHES), "|", flush=True)
    for backend in FORMATS:
        environment = {**os.environ, "KERAS_BACKEND": backend}
        command = [sys.executable, __file__, *sys.argv[1:], "--backend", backend]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
