"""Kill writers at random moments, hundreds of times: old or new, whole, and nothing stays behind.

    python tests/kills.py [--kills 50] [--kinds keras,npz,...] [--seed 0]

A command beside the suite, some minutes long; `tests/files/test_temporary.py` and
`tests/models/test_killed_saves.py` are its samples inside. For each kind one process with
everything imported forks a writer that writes over one file for ever; it is killed (SIGKILL) after
a random time. Then the file must be one that was written whole, and the next write must leave
nothing beside it. Rows 16 and 21 of the fault table.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image


def _of_model():
    import kerasvit
    from kerasvit.pretrained import load

    model = kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20)

    def write(path):
        model.save(path)

    return write, load


def _of_npz():
    from kerasvit.files import write_npz
    from kerasvit.untrusted.npz import read_arrays

    arrays = {"maps": np.random.default_rng(0).normal(size=(40, 64, 64))}
    return lambda path: write_npz(path, arrays, True), read_arrays


def _of_state():
    import keras

    import kerasvit
    from kerasvit.training.run.checkpoints import read_meta, save_state

    model = kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    return lambda path: save_state(path, model, {"step": 1}, {}), read_meta


def _of_png():
    from kerasvit.render.files import write_png

    pixels = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    return lambda path: write_png(path, pixels, True), lambda path: Image.open(path).load()


def _of_text(text):
    from kerasvit.files import atomic_path

    def write(path):
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_text(text)

    def check(path):
        assert path.read_text() == text

    return write, check


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


KINDS = {
    "keras": _of_model,
    "npz": _of_npz,
    "state.npz": _of_state,
    "png": _of_png,
    "csv": lambda: _of_text("step,loss\n" + "1,2\n" * 10**5),
    "json": lambda: _of_text(json.dumps({"map": list(range(10**5))})),
    "html": lambda: _of_text("<p>" * 10**6),
    "cache": _of_cache,
}


def _kill_once(write, path, seconds):
    writer = os.fork()
    if writer == 0:
        try:
            while True:
                write(path)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(writer, signal.SIGKILL)
    _, status = os.waitpid(writer, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"


def _hidden(folder):
    return [one.name for one in folder.rglob(".kerasvit-*")]


def kill(kind, kills, seed):
    """Kill writers of one kind; return how often something lay beside the file."""
    write, check = KINDS[kind]()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path = folder / (f"x.{kind}" if kind != "cache" else "cache")
        started = time.perf_counter()
        write(path)
        duration = time.perf_counter() - started
        draw, left = random.Random(seed), 0
        for _ in range(kills):
            _kill_once(write, path, draw.uniform(0, min(3 * duration, 2)) + 0.005)
            check(path)
            left += bool(_hidden(folder))
            write(path)
            assert not _hidden(folder), "what a killed writer left stays"
            check(path)
        return left


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for kind in options.kinds.split(","):
        left = kill(kind, options.kills, options.seed)
        print(f"{kind}: {options.kills} kills, 0 damaged, {left} times something to remove")
    return 0


if __name__ == "__main__":
    sys.exit(main())
