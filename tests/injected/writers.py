"""The one table of everything that writes: what it writes over and over, and how to see it whole.

`test_table.py` finds the modules of the package that write, and refuses one that is in neither of
the tables below: no writer is forgotten by the kills and the full disks.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Writer:
    """What is killed, and what runs out of disk.

    Args:
        covers: modules whose writing it stands for.
        output: name of the file or folder that it writes.
        make: imports and prepares; returns `write(path)`, which writes over what is there, and
            `check(path)`, which raises unless it is whole.
        needs: packages without which it is left out.
    """

    covers: tuple[str, ...]
    output: str
    make: Callable[[], tuple[Callable, Callable]]
    needs: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether all that it needs is installed."""
        import importlib.util

        return all(importlib.util.find_spec(name) for name in self.needs)


def _random(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _tiny(**arguments):
    import kerasvit
    from kerasvit.images.preprocessing import Preprocessing

    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)
    record = {"preprocessing": preprocessing.to_dict(), "class_names": ["ant", "bee", "cat"]}
    return kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20, record=record, **arguments)


def _result():
    from kerasvit.saliency import explain

    return explain(_tiny(), _random((1, 16, 16, 3)) / np.float32(255), "attention")


def _picture(path):
    Image.open(path).load()


def _starts(*beginnings, ends=b""):
    """Return a check by a file's first and last bytes."""

    def check(path):
        content = pathlib.Path(path).read_bytes()
        assert content.startswith(beginnings), content[:20]
        assert content.rstrip().endswith(ends), content[-20:]

    return check


_pdf = _starts(b"%PDF", ends=b"%%EOF")
_svg = _starts(b"<?xml", ends=b"</svg>")
_html = _starts(b"<!", b"<h", ends=b"</html>")


def _arrays(path):
    from kerasvit.untrusted.npz import read_arrays

    assert read_arrays(path)


def _json(path):
    json.loads(pathlib.Path(path).read_text())


def _csv(path):
    text = pathlib.Path(path).read_text()
    assert text.endswith("\n")
    assert len({line.count(",") for line in text.splitlines()}) == 1


def _npy(path):
    array = np.load(path, mmap_mode="r")
    assert np.isfinite(array[-1]).all()
    assert np.any(array[-1])


def _frames(path):
    from kerasvit.render.video.frames import open_video

    with open_video(path) as clip:
        # The last one of an animation is shown longer.
        assert sum(1 for _ in clip.frames) in (12, 14)
        assert not clip.notes


def _keras(path):
    from kerasvit.pretrained import load

    load(path)


# ---- models and their weights -----------------------------------------------------------------


def _of_model():
    model = _tiny()
    return model.save, _keras


def _of_conversion():
    from kerasvit.conversion.writing import new_file

    model = _tiny()

    def write(path):
        with new_file(path, True) as file:
            file.save(model)
            file.reload()

    return write, _keras


def _of_weights(suffix):
    def make():
        from kerasvit.conversion.export import export_weights
        from kerasvit.conversion.files.checkpoint import open_checkpoint

        model = _tiny()

        def check(path):
            for tensor in open_checkpoint(path).tensors.values():
                tensor.read()

        return lambda path: export_weights(model, path, overwrite=True), check

    return make


def _of_transformers_folder():
    import kerasvit
    from kerasvit.conversion.export import export_weights
    from kerasvit.conversion.files.checkpoint import open_checkpoint

    model = kerasvit.VisionTransformer((16, 16, 3), 8, 3, 12, 2, 3, 20)

    def check(path):
        _json(path / "config.json")
        for tensor in open_checkpoint(path / "model.safetensors").tensors.values():
            tensor.read()

    return lambda path: export_weights(model, path, "huggingface", overwrite=True), check


def _of_export(suffix):
    def make():
        import hashlib

        import kerasvit

        model = _tiny()

        def check(path):
            facts = json.loads(path.with_name(f"{path.name}.json").read_text())
            # Two files cannot change places in one step, but one tells of the other.
            told = facts["files"][path.name]["sha256"]
            if told != hashlib.sha256(path.read_bytes()).hexdigest():
                raise Between

        return lambda path: kerasvit.export(model, path, overwrite=True), check

    return make


class Between(Exception):
    """Of several files some are new and some old, each whole, and one of them says so."""


def _of_push():
    from kerasvit.publishing.card import SHEET
    from kerasvit.publishing.hub import write_folder

    model, picture = _tiny(), pathlib.Path(os.environ["TMPDIR"], "shown.png")

    def write(path):
        Image.fromarray(_random((24, 24, 3))).save(picture)
        write_folder(model, path, "user/name", picture=picture, overwrite=True)

    def check(path):
        _keras(path / "model.keras")
        _picture(path / SHEET)
        assert (path / "README.md").read_text().endswith("\n")

    return write, check


# ---- pictures, pages, videos ------------------------------------------------------------------


def _of_png():
    from kerasvit.render.files import write_png

    pixels = _random((400, 600, 3))
    return lambda path: write_png(path, pixels, True), _picture


def _of_figure(kind):
    def make():
        from kerasvit.render.figures import write_picture

        pixels = _random((120, 160, 3))
        check = _pdf if kind == "pdf" else _svg
        return lambda path: write_picture(path, pixels, kind, overwrite=True), check

    return make


def _of_plot():
    result = _result()
    return lambda path: result.save(path, overwrite=True), _picture


def _of_probe():
    from kerasvit.render.probes import matrix_plot

    values = np.random.default_rng(0).random((4, 4))
    keys = [f"sa_ffn_block_0{number}_att" for number in range(4)]
    return lambda path: matrix_plot(path, values, keys, keys, ("a", "b"), "x", True), _picture


def _of_viewer():
    from kerasvit.images.geometry import Geometry
    from kerasvit.layout import TokenLayout
    from kerasvit.render.viewer.page import write_viewer

    scores = np.random.default_rng(0).random((3, 26, 26), np.float32)
    scores /= scores.sum(-1, keepdims=True)
    layout = TokenLayout(("class",), (5, 5), (10, 10))
    key, geometry = "sa_ffn_block_00_att", Geometry((50, 50), (0, 0, 50, 50), (50, 50))
    pixels = _random((50, 50, 3))

    def write(path):
        write_viewer(path, pixels, {key: scores}, {key: layout}, geometry, "x", overwrite=True)

    return write, _html


def _of_gif():
    from kerasvit.render.video.animation import write_gif

    frames = [Image.fromarray(_random((80, 120, 3), seed)) for seed in range(12)]
    return lambda path: write_gif(path, frames, overwrite=True), _frames


def _of_video():
    from kerasvit.render.video.frames import create_video

    frames = [_random((64, 96, 3), seed) for seed in range(12)]

    def write(path):
        with create_video(path, 12, overwrite=True) as add:
            for frame in frames:
                add(frame)

    return write, _frames


def _of_series():
    from kerasvit.render.video.series import create_series

    values = np.random.default_rng(0).random((12, 50, 50))

    def write(path):
        with create_series(path, {"box": np.arange(4)}, overwrite=True) as add:
            for value in values:
                add(attention=value)

    return write, _arrays


def _of_layers():
    """A sheet of a callback while it trains."""
    from kerasvit.callbacks import AttentionCallback

    model = _tiny()
    images = _random((2, 16, 16, 3)) / np.float32(255)

    def write(path):
        callback = AttentionCallback(images, path, notebook=False, overwrite=True, model=model)
        callback.on_train_begin()
        callback._draw(0, {})

    def check(path):
        _picture(path / "epoch_0001.png")
        _arrays(path / "epoch_0001.npz")

    return write, check


# ---- tables and arrays ------------------------------------------------------------------------


def _of_npz():
    from kerasvit.files import write_npz

    arrays = {"maps": np.random.default_rng(0).normal(size=(40, 64, 64))}
    return lambda path: write_npz(path, arrays, True), _arrays


def _of_map():
    from kerasvit.saliency import SaliencyMap

    result = _result()
    return lambda path: result.save_npz(path, overwrite=True), SaliencyMap.load_npz


def _of_numbers():
    result = _result()
    return lambda path: result.to_csv(path, overwrite=True), _csv


def _of_report(kind):
    def make():
        from kerasvit.evaluation.evaluate import evaluate_saliency
        from kerasvit.evaluation.files import write_plot, write_report

        pixels = _random((3, 16, 16, 3)) / np.float32(255)
        report = evaluate_saliency(
            _tiny(), pixels, methods=["attention"], metrics=["insertion_deletion"], steps=4
        )
        writer = write_plot if kind == "png" else write_report
        check = {"png": _picture, "csv": _csv, "json": _json}[kind]
        return lambda path: writer(report, path, overwrite=True), check

    return make


def _of_run():
    """The pictures of `kerasvit saliency` with its manifest and journal."""
    import kerasvit.look

    model = _tiny()
    inputs = pathlib.Path(os.environ["TMPDIR"], "inputs")
    inputs.mkdir(exist_ok=True)
    for number in range(3):
        Image.fromarray(_random((20, 24, 3), number)).save(inputs / f"{number}.png")
    options = {"method": "attention", "formats": ("png", "npz"), "dpi": 40}

    def write(path):
        goes_on = (path / "manifest.json.part").exists()
        kerasvit.look.saliency(
            inputs, model, out=path, overwrite=not goes_on, resume=goes_on, **options
        )

    def check(path):
        for file in path.iterdir():
            if file.suffix == ".png":
                _picture(file)
            elif file.suffix == ".npz":
                _arrays(file)
        manifest = path / "manifest.json"
        if manifest.exists():
            for entry in json.loads(manifest.read_text())["pictures"]:
                assert all((path / name).is_file() for name in entry["outputs"])

    return write, check


# ---- training ---------------------------------------------------------------------------------


def _of_state():
    import keras

    from kerasvit.training.run.checkpoints import read_meta, save_state

    model = _tiny()
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    return lambda path: save_state(path, model, {"step": 1}, {}), read_meta


def _of_log():
    from unittest.mock import Mock

    from kerasvit.training.run.watching import Log

    def write(path):
        log = Log(path)
        log.rows = [{"epoch": number, "loss": "0.5"} for number in range(20_000)]
        log.set_model(Mock())
        log.model.optimizer.learning_rate = 0.1
        log.on_epoch_end(20_000, {"loss": 0.5})

    return write, _csv


def _of_teacher_tokens():
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.training.teacher_features import precompute_features

    model, pictures = _tiny(attention="none"), _random((200, 16, 16, 3))
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)

    def write(path):
        read = pictures.__getitem__
        precompute_features(model, read, 200, preprocessing, path, mirrored=True, overwrite=True)

    return write, _npy


def _of_convolutional_teacher():
    """The files of `convolutional_targets`, without the training before them."""
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.training.data.in_memory import Normaliser
    from kerasvit.training.distillation import convolutional_teacher as module

    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)
    teacher, pictures = module.residual_network(3, (2, 3, 4, 5)), _random((300, 16, 16, 3))
    normalise = Normaliser(preprocessing)

    def write(path):
        path.mkdir(exist_ok=True)
        places = path / module.FEATURES, path / module.LOGITS
        module.write_targets(teacher, normalise, pictures, *places)

    def check(path):
        _npy(path / module.FEATURES)
        _npy(path / module.LOGITS)

    return write, check


# ---- the cache --------------------------------------------------------------------------------


def _of_cache():
    from kerasvit.cache import Entry

    entry = Entry("downloads", "killed")

    def write(path):
        os.environ["KERASVIT_CACHE"] = str(path)
        entry.discard()
        with entry.fill("x.bin") as new:
            new.write_bytes(bytes(10**6))

    def check(path):
        os.environ["KERASVIT_CACHE"] = str(path)
        found = entry.find()
        # Absent, between two fillings, or whole.
        assert found is None or found.stat().st_size == 10**6

    return write, check


def _of_text(text):
    from kerasvit.files import atomic_path

    def write(path):
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_text(text)

    def check(path):
        assert path.read_text() == text

    return write, check


WRITERS = {
    "keras": Writer(
        (
            "kerasvit.models.saving",
            "kerasvit.training.finetuning.run",
            "kerasvit.training.distillation.student",
        ),
        "x.keras",
        _of_model,
    ),
    "conversion": Writer(
        ("kerasvit.conversion.writing", "kerasvit.conversion.converter"), "x.keras", _of_conversion
    ),
    "pth": Writer(
        ("kerasvit.conversion.export", "kerasvit.conversion.files.pytorch"),
        "x.pth",
        _of_weights("pth"),
        ("torch",),
    ),
    "safetensors": Writer(
        ("kerasvit.conversion.files.safetensors",), "x.safetensors", _of_weights("safetensors")
    ),
    "transformers": Writer(
        ("kerasvit.conversion.huggingface_folder",), "x", _of_transformers_folder
    ),
    "onnx": Writer(
        (
            "kerasvit.exporting.placing",
            "kerasvit.exporting.exporter",
            "kerasvit.exporting.formats.onnx",
        ),
        "x.onnx",
        _of_export("onnx"),
        ("onnx", "onnxscript", "onnxruntime", "torch"),
    ),
    "pt2": Writer(
        ("kerasvit.exporting.formats.torch_program",), "x.pt2", _of_export("pt2"), ("torch",)
    ),
    "push": Writer(("kerasvit.publishing.hub",), "x", _of_push),
    "png": Writer(("kerasvit.render.files", "kerasvit.render.maps"), "x.png", _of_png),
    "pdf": Writer(("kerasvit.render.figures",), "x.pdf", _of_figure("pdf")),
    "svg": Writer(("kerasvit.render.figures",), "x.svg", _of_figure("svg")),
    "plot": Writer(("kerasvit.saliency.figures.drawing",), "x.png", _of_plot),
    "probe": Writer(("kerasvit.render.probes",), "x.png", _of_probe),
    "html": Writer(("kerasvit.render.viewer.page",), "x.html", _of_viewer),
    "layers.gif": Writer(("kerasvit.render.video.animation",), "x.gif", _of_gif),
    "gif": Writer(
        ("kerasvit.render.video.frames", "kerasvit.render.video.pillow"), "x.gif", _of_video
    ),
    "mp4": Writer(
        ("kerasvit.render.video.frames", "kerasvit.render.video.ffmpeg"),
        "x.mp4",
        _of_video,
        ("imageio_ffmpeg",),
    ),
    "series": Writer(("kerasvit.render.video.series",), "x.npz", _of_series),
    "callback": Writer(("kerasvit.callbacks",), "x", _of_layers),
    "npz": Writer(("kerasvit.files", "kerasvit.look.artist"), "x.npz", _of_npz),
    "map": Writer(("kerasvit.saliency.archive",), "x.npz", _of_map),
    "csv": Writer(("kerasvit.saliency.numbers",), "x.csv", _of_numbers),
    "report.csv": Writer(("kerasvit.evaluation.files",), "x.csv", _of_report("csv")),
    "report.json": Writer(("kerasvit.evaluation.files",), "x.json", _of_report("json")),
    "report.png": Writer(("kerasvit.evaluation.files",), "x.png", _of_report("png")),
    "run": Writer(("kerasvit.look.records.manifest",), "x", _of_run),
    "state": Writer(("kerasvit.training.run.checkpoints",), "x.npz", _of_state),
    "log": Writer(("kerasvit.training.run.watching",), "x.csv", _of_log),
    "teacher": Writer(("kerasvit.training.teacher_features",), "x.npy", _of_teacher_tokens),
    "convolutional": Writer(
        ("kerasvit.training.distillation.convolutional_teacher",), "x", _of_convolutional_teacher
    ),
    "cache": Writer(("kerasvit.cache",), "x", _of_cache),
    "text": Writer(
        ("kerasvit.training.run.files", "kerasvit.cli.commands.learning.evaluate"),
        "x.json",
        lambda: _of_text(json.dumps({"map": list(range(10**5))})),
    ),
}

_COMMAND = "hands its files to writers of the table"
_SCRATCH = "writes into a folder of its own, which goes at the end or with the next run"
ELSEWHERE = {
    "kerasvit.temporary": "makes the names; each writer of the table uses it",
    "kerasvit.training.run.train": "killed as a whole: runs.py",
    "kerasvit.cli.commands.looking.probe": _COMMAND,
    "kerasvit.conversion.sources.fetch": "killed by tests/conversion/sources; uses atomic_path",
    "kerasvit.conversion.sources.receiving": "appends to the temporary file of fetch",
    "kerasvit.conversion.registry_records": "a developer's tool; one atomic file after the other",
    "kerasvit.exporting.worker": _SCRATCH,
    "kerasvit.exporting.process": _SCRATCH,
    "kerasvit.exporting.formats.stablehlo": "writes into the folder that exporting.placing lends",
    "kerasvit.exporting.formats.saved_model": "writes into the folder of exporting.placing",
    "kerasvit.exporting.formats.litert": "writes into the folder that exporting.placing lends",
    "kerasvit.exporting.formats.openvino": "writes into the folder that exporting.placing lends",
    "kerasvit.exporting.formats.web.page": "writes into the folder that exporting.placing lends",
    "kerasvit.images.arriving": _SCRATCH,
    "kerasvit.app.downloads": _SCRATCH,
    "kerasvit.app.server": _SCRATCH,
}
