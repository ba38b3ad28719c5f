"""The one table of long commands: how each is called, and what it writes."""

import contextlib
import dataclasses
import http.server
import importlib.util
import os
import pathlib
import socket
import threading

import numpy as np
from PIL import Image
from writing.checks import random, tiny

_RECIPE = """
[model]
name = "cait_nano_patch4_32"
arguments = {{ hidden_dim = 16, num_layers = 2, num_class_layers = 1, num_heads = 2, mlp_dim = 16 }}
[data]
path = "{data}"
in_memory = {in_memory}
workers = {workers}
[preprocessing]
image_size = [16, 16]
crop_fraction = 1.0
[schedule]
epochs = 3
batch_size = 8
warmup_epochs = 1
[run]
tensorboard = false
test_batch_size = 6
checkpoint_steps = 5
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that takes long.

    Args:
        line: its words; "OUT" is the folder of its outputs, and other names in capitals are those
            of `Inputs`.
        ends: whether it ends by itself.
        needs: packages without which it is left out.
    """

    line: str
    ends: bool = True
    needs: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether all that it needs is installed."""
        return all(importlib.util.find_spec(name) for name in self.needs)


COMMANDS = {
    "saliency": Command("saliency PICTURES -m MODEL -o OUT --overwrite --dpi 40"),
    "video": Command(
        "saliency FILM -m MODEL -o OUT --overwrite --mode overlay", needs=("imageio_ffmpeg",)
    ),
    "features": Command("features pca PICTURES -m MODEL -o OUT --overwrite"),
    "probe": Command("probe PICTURES -m MODEL -o OUT --overwrite"),
    "evaluate-saliency": Command(
        "evaluate-saliency PICTURES -m MODEL --methods attention,rollout,relevance "
        "-o OUT/report.csv --plot OUT/curves.png --overwrite"
    ),
    "evaluate": Command("evaluate -m MODEL --data DATA --split train -o OUT/r.json --overwrite"),
    "train": Command("train RECIPE -o OUT --overwrite"),
    "workers": Command("train WORKERS -o OUT --overwrite", needs=("grain",)),
    "finetune": Command(
        "finetune -m MODEL --data DATA --split train --epochs 3 -o OUT/new.keras --overwrite"
    ),
    "convert": Command("convert WEIGHTS -m cait_nano_patch4_32 -o OUT/new.keras --overwrite"),
    "export": Command("export MODEL -o OUT/model.pt2 --overwrite"),
    "onnx": Command(
        "export MODEL -o OUT/model.onnx --overwrite", needs=("onnx", "onnxscript", "onnxruntime")
    ),
    "elsewhere": Command(
        "export MODEL -o OUT/saved --format saved_model --overwrite", needs=("tensorflow",)
    ),
    "folder": Command("push MODEL user/name --picture PICTURE --dry-run OUT/folder --overwrite"),
    "push": Command("push MODEL user/name", ends=False, needs=("huggingface_hub",)),
    "app": Command("app -m MODEL --no-browser --port PORT", ends=False, needs=("gradio",)),
}


class Inputs:
    """What the commands read, made once.

    Args:
        folder: where.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._places = {name: folder / name.lower() for name in ("PICTURES", "DATA")}
        self._write_pictures()
        self._write_recipes()
        self._write_models()
        self._write_film()

    def arguments(self, command: Command, output: pathlib.Path) -> list[str]:
        """Return the words of a command with what they stand for."""
        places = {**self._places, "OUT": output, "PORT": _free_port()}
        parts = [word.partition("/") for word in command.line.split()]
        return [f"{places.get(name, name)}{slash}{rest}" for name, slash, rest in parts]

    def _write_pictures(self) -> None:
        self._places["PICTURES"].mkdir()
        for number in range(12):
            path = self._places["PICTURES"] / f"{number:02}.png"
            Image.fromarray(random((20, 24, 3), number)).save(path)
        self._places["PICTURE"] = path
        for split, count in (("train", 20), ("test", 4)):
            for channel, name in enumerate(("ant", "bee", "cat")):
                place = self._places["DATA"] / split / name
                place.mkdir(parents=True)
                for number in range(count):
                    pixels = random((16, 16, 3), number) // 3
                    pixels[..., 2 - channel] += np.uint8(120)
                    Image.fromarray(pixels).save(place / f"{number}.png")

    def _write_recipes(self) -> None:
        for name, in_memory, workers in (("RECIPE", "true", 0), ("WORKERS", "false", 2)):
            path = self._places[name] = self._folder / f"{name.lower()}.toml"
            values = {"data": self._places["DATA"], "in_memory": in_memory, "workers": workers}
            path.write_text(_RECIPE.format(**values))

    def _write_models(self) -> None:
        import kerasvit
        from kerasvit.conversion.export import export_weights

        self._places["MODEL"] = self._folder / "model.keras"
        tiny().save(self._places["MODEL"])
        self._places["WEIGHTS"] = self._folder / "weights.pth"
        shipped = kerasvit.from_pretrained("cait_nano_patch4_32.cifar10")
        export_weights(shipped, self._places["WEIGHTS"])

    def _write_film(self) -> None:
        from kerasvit.render.video.frames import create_video

        self._places["FILM"] = path = self._folder / "film.mp4"
        if COMMANDS["video"].is_there:
            with create_video(path, 12) as add:
                for seed in range(30):
                    add(random((64, 64, 3), seed))


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class _Silent(http.server.BaseHTTPRequestHandler):
    """A hub that takes what it is sent, and says nothing."""

    def do_GET(self):
        threading.Event().wait()

    do_POST = do_HEAD = do_PUT = do_GET


@contextlib.contextmanager
def silent_hub():
    """Lend the environment in which the Hub is a server on this machine that never answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_TOKEN": "hf_of_nobody",
            "KERASVIT_OFFLINE": "0",
            "HF_HUB_OFFLINE": "0",
            "no_proxy": "*",
        }
        server.shutdown()


def environment(scratch: pathlib.Path) -> dict[str, str]:
    """Return what every command finds: temporary files have a folder of their own."""
    return {"TMPDIR": str(scratch), "MPLCONFIGDIR": str(scratch.parent), "HOME": os.environ["HOME"]}
