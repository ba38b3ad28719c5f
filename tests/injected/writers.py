"""The one table of everything that writes: what it writes over and over, and how to see it whole.

`test_table.py` finds the modules of the package that write, and refuses one that is in neither of
the tables below: no writer is forgotten by the kills and the full disks.
"""

import dataclasses
import importlib.util
import json
from collections.abc import Callable

from writing import models, pictures, tables, training


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
        return all(importlib.util.find_spec(name) for name in self.needs)


WRITERS = {
    "keras": Writer(
        (
            "kerasvit.models.saving",
            "kerasvit.models.writing",
            "kerasvit.training.finetuning.run",
            "kerasvit.training.distillation.student",
        ),
        "x.keras",
        models.of_model,
    ),
    "conversion": Writer(
        ("kerasvit.conversion.writing", "kerasvit.conversion.converter"),
        "x.keras",
        models.of_conversion,
    ),
    "pth": Writer(
        ("kerasvit.conversion.export", "kerasvit.conversion.files.pytorch"),
        "x.pth",
        models.of_weights("pth"),
        ("torch",),
    ),
    "safetensors": Writer(
        ("kerasvit.conversion.files.safetensors",),
        "x.safetensors",
        models.of_weights("safetensors"),
    ),
    "transformers": Writer(
        ("kerasvit.conversion.huggingface_folder",), "x", models.of_transformers_folder
    ),
    "onnx": Writer(
        (
            "kerasvit.exporting.placing",
            "kerasvit.exporting.exporter",
            "kerasvit.exporting.formats.onnx",
        ),
        "x.onnx",
        models.of_export("onnx"),
        ("onnx", "onnxscript", "onnxruntime", "torch"),
    ),
    "pt2": Writer(
        ("kerasvit.exporting.formats.torch_program",), "x.pt2", models.of_export("pt2"), ("torch",)
    ),
    "push": Writer(("kerasvit.publishing.hub",), "x", models.of_push),
    "png": Writer(("kerasvit.render.files", "kerasvit.render.maps"), "x.png", pictures.of_png),
    "pdf": Writer(("kerasvit.render.figures",), "x.pdf", pictures.of_figure("pdf")),
    "svg": Writer(("kerasvit.render.figures",), "x.svg", pictures.of_figure("svg")),
    "plot": Writer(("kerasvit.saliency.figures.drawing",), "x.png", pictures.of_plot),
    "probe": Writer(("kerasvit.render.probes",), "x.png", pictures.of_probe),
    "html": Writer(("kerasvit.render.viewer.page",), "x.html", pictures.of_viewer),
    "features": Writer(
        ("kerasvit.render.features.page", "kerasvit.render.features.results"),
        "x.html",
        pictures.of_features,
    ),
    "layers.gif": Writer(("kerasvit.render.video.animation",), "x.gif", pictures.of_gif),
    "gif": Writer(
        ("kerasvit.render.video.frames", "kerasvit.render.video.pillow"), "x.gif", pictures.of_video
    ),
    "mp4": Writer(
        ("kerasvit.render.video.frames", "kerasvit.render.video.ffmpeg"),
        "x.mp4",
        pictures.of_video,
        ("imageio_ffmpeg",),
    ),
    "series": Writer(("kerasvit.render.video.series",), "x.npz", pictures.of_series),
    "callback": Writer(("kerasvit.callbacks",), "x", pictures.of_layers),
    "npz": Writer(("kerasvit.files", "kerasvit.look.artist"), "x.npz", tables.of_npz),
    "map": Writer(("kerasvit.saliency.archive",), "x.npz", tables.of_map),
    "csv": Writer(("kerasvit.saliency.numbers",), "x.csv", tables.of_numbers),
    "report.csv": Writer(("kerasvit.evaluation.files",), "x.csv", tables.of_report("csv")),
    "report.json": Writer(("kerasvit.evaluation.files",), "x.json", tables.of_report("json")),
    "report.png": Writer(("kerasvit.evaluation.files",), "x.png", tables.of_report("png")),
    "run": Writer(
        ("kerasvit.look.records.manifest", "kerasvit.look.records.journal"), "x", tables.of_run
    ),
    "state": Writer(("kerasvit.training.run.checkpoints",), "x.npz", training.of_state),
    "log": Writer(("kerasvit.training.run.log",), "x.csv", training.of_log),
    "teacher": Writer(("kerasvit.training.teacher_features",), "x.npy", training.of_teacher_tokens),
    "logits": Writer(("kerasvit.training.teacher_logits",), "x.npy", training.of_teacher_logits),
    "convolutional": Writer(
        ("kerasvit.training.distillation.convolutional_teacher",),
        "x",
        training.of_convolutional_teacher,
    ),
    "cache": Writer(("kerasvit.cache",), "x", training.of_cache),
    "text": Writer(
        ("kerasvit.training.run.files", "kerasvit.cli.commands.learning.evaluate"),
        "x.json",
        lambda: training.of_text(json.dumps({"map": list(range(10**5))})),
    ),
}

_STREAM = "saves into memory, or to a path that a writer of the table lends"
_COMMAND = "hands its files to writers of the table"
_SCRATCH = "writes into a folder of its own, which goes at the end or with the next run"
ELSEWHERE = {
    "kerasvit.temporary": "makes the names; each writer of the table uses it",
    "kerasvit.training.run.train": "killed as a whole: runs.py",
    "kerasvit.cli.commands.looking.probe": _COMMAND,
    "kerasvit.cli.prober": _COMMAND,
    "kerasvit.cli.compiled": "makes the folder in which a backend keeps what it compiled",
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
    "kerasvit.evaluation.plot": _STREAM,
    "kerasvit.render.pages.embedding": _STREAM,
    "kerasvit.saliency.figures.shown": "calls the writers of plots and of maps",
    "kerasvit.training.run.watching": "saves states, models and the log by writers of the table",
    "kerasvit.training.mapped_files": "makes room in the temporary file that it is given",
}
