"""What the writers write: a tiny model, a map; and how a file of each kind is seen to be whole."""

import csv
import json
import pathlib

import numpy as np
from PIL import Image


def random(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def tiny(**arguments):
    import kerasvit
    from kerasvit.images.preprocessing import Preprocessing

    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)
    record = {"preprocessing": preprocessing.to_dict(), "class_names": ["ant", "bee", "cat"]}
    return kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20, record=record, **arguments)


def explained():
    from kerasvit.saliency import explain

    return explain(tiny(), random((1, 16, 16, 3)) / np.float32(255), "attention")


def picture(path):
    Image.open(path).load()


def starts(*beginnings, ends=b""):
    """Return a check by a file's first and last bytes."""

    def check(path):
        content = pathlib.Path(path).read_bytes()
        assert content.startswith(beginnings), content[:20]
        assert content.rstrip().endswith(ends), content[-20:]

    return check


pdf = starts(b"%PDF", ends=b"%%EOF")
svg = starts(b"<?xml", ends=b"</svg>")
html = starts(b"<!", b"<h", ends=b"</html>")


def arrays(path):
    from kerasvit.untrusted.npz import read_arrays

    assert read_arrays(path)


def json_file(path):
    json.loads(pathlib.Path(path).read_text())


def csv_file(path):
    text = pathlib.Path(path).read_text()
    assert text.endswith("\n")
    # A note may hold commas, and is quoted.
    assert len({len(row) for row in csv.reader(text.splitlines())}) == 1


def npy(path):
    array = np.load(path, mmap_mode="r")
    assert np.isfinite(array[-1]).all()
    assert np.any(array[-1])


def frames_of(path):
    from kerasvit.render.video.frames import open_video

    with open_video(path) as clip:
        # The last one of an animation is shown longer.
        assert sum(1 for _ in clip.frames) in (12, 14)
        assert not clip.notes


def keras_file(path):
    from kerasvit.pretrained import load

    load(path)
