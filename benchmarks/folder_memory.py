"""Memory while a folder of pictures is drawn: the resident set, picture by picture.

    KERAS_BACKEND=torch python -m benchmarks.folder_memory --count 1000

The model is the small CaiT in the package unless `-m` names another; the pictures are generated, of
as many sizes as `--sizes` says: what is measured is whether anything grows with their number. The
bar: the last picture finds no more than 5 % above what the 100th found.
"""

import argparse
import pathlib
import sys
import tempfile
import time
import unittest.mock

import numpy as np
from PIL import Image

from benchmarks.harness import memory

MEBI, BAR = 2**20, 1.05


def make_pictures(folder, count, sizes):
    """Write pictures with something in them, of some sizes in turn."""
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        width = 320 + 32 * (index % sizes)
        picture = Image.fromarray(coarse).resize((width, 240), Image.Resampling.BICUBIC)
        picture.save(folder / f"{index:06}.jpg")


def main():
    """Make the pictures, draw them, and print the memory on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--sizes", type=int, default=3, help="how many shapes of pictures")
    parser.add_argument("-m", "--model", default="cait_nano_patch4_32.cifar10")
    parser.add_argument("--method", default="attention")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "in").mkdir()
        make_pictures(folder / "in", options.count, options.sizes)
        found = draw(folder, options)
        written = sum(file.stat().st_size for file in (folder / "out").iterdir())
    print(f"written: {written / MEBI:.0f} MiB")
    reference = found[min(100, options.count)]
    print(f"last / 100th: {found[options.count] / reference:.3f} (bar {BAR})")
    return int(found[options.count] > BAR * reference)


def draw(folder, options):
    """Run the command; return the resident bytes by the number of pictures done."""
    from kerasvit.cli import main as command
    from kerasvit.cli.pictures import Progress

    found, started = {}, time.perf_counter()
    advance = Progress.advance

    def watched(self):
        advance(self)
        done = found.setdefault("done", 0) + 1
        found["done"] = done
        if done in (1, 10, 100) or done % 250 == 0 or done == options.count:
            found[done] = memory.resident()
            seconds = time.perf_counter() - started
            print(f"{done} pictures: {found[done] / MEBI:.0f} MiB, {done / seconds:.1f} a second")

    arguments = ["saliency", str(folder / "in"), "-m", options.model, "-o", str(folder / "out")]
    quiet = unittest.mock.patch.object(Progress, "line")
    with unittest.mock.patch.object(Progress, "advance", watched), quiet:
        if code := command([*arguments, "--method", options.method]):
            sys.exit(code)
    return found


if __name__ == "__main__":
    sys.exit(main())
