"""Tables, arrays, reports, and the files of a run."""

import json
import os
import pathlib

import numpy as np
from PIL import Image
from writing.checks import arrays, csv_file, explained, json_file, picture, random, tiny


def of_npz():
    from kerasvit.files import write_npz

    values = {"maps": np.random.default_rng(0).normal(size=(40, 64, 64))}
    return lambda path: write_npz(path, values, True), arrays


def of_map():
    from kerasvit.saliency import SaliencyMap

    result = explained()
    return lambda path: result.save_npz(path, overwrite=True), SaliencyMap.load_npz


def of_numbers():
    result = explained()
    return lambda path: result.to_csv(path, overwrite=True), csv_file


def of_report(kind):
    def make():
        from kerasvit.evaluation.evaluate import evaluate_saliency
        from kerasvit.evaluation.files import write_plot, write_report

        pixels = random((3, 16, 16, 3)) / np.float32(255)
        report = evaluate_saliency(
            tiny(), pixels, methods=["attention"], metrics=["insertion_deletion"], steps=4
        )
        writer = write_plot if kind == "png" else write_report
        check = {"png": picture, "csv": csv_file, "json": json_file}[kind]
        return lambda path: writer(report, path, overwrite=True), check

    return make


def of_run():
    """The pictures of `kerasvit saliency` with its manifest and journal."""
    import kerasvit.look

    model = tiny()
    inputs = pathlib.Path(os.environ["TMPDIR"], "inputs")
    inputs.mkdir(exist_ok=True)
    for number in range(3):
        Image.fromarray(random((20, 24, 3), number)).save(inputs / f"{number}.png")
    options = {"method": "attention", "formats": ("png", "npz"), "dpi": 40}

    def write(path):
        goes_on = (path / "manifest.json.part").exists()
        kerasvit.look.saliency(
            inputs, model, out=path, overwrite=not goes_on, resume=goes_on, **options
        )

    def check(path):
        for file in path.glob("[!.]*"):
            if file.suffix == ".png":
                picture(file)
            elif file.suffix == ".npz":
                arrays(file)
        manifest = path / "manifest.json"
        if manifest.exists():
            for entry in json.loads(manifest.read_text())["pictures"]:
                assert all((path / name).is_file() for name in entry["outputs"])

    return write, check
