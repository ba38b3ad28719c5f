"""Files of random weights for the commands that load them, made once in the temporary folder."""

import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.harness.workers import ROOT, environment

MAKE = """
import sys
import torch
from safetensors.torch import save_file
from kerasvit.conversion.proof.timm.package import import_timm

name, checkpoint = sys.argv[1:]
torch.manual_seed(0)
save_file(import_timm().create_model(name).state_dict(), checkpoint)
"""


def files(model: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Return a safetensors checkpoint of timm's model and its conversion, both with record.

    Raises:
        RuntimeError: if making them fails.
    """
    folder = pathlib.Path(tempfile.gettempdir()) / f"kerasvit-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    checkpoint = folder / f"{model}.safetensors"
    converted = folder / f"{model}.keras"
    if not checkpoint.exists():
        _run(["-c", MAKE, model, str(checkpoint)])
    if not converted.exists():
        convert = ["convert", str(checkpoint), "-m", model, "-o", str(converted)]
        _run(["-m", "kerasvit", *convert, "--no-verify"])
    return checkpoint, converted


def _run(arguments):
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment("torch"), capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-500:])
