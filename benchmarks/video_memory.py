"""Memory while a long video is drawn: the resident set of the process, minute by minute.

KERAS_BACKEND=torch python benchmarks/video_memory.py --minutes 10

The model is the small CaiT in the package, the video is generated: what is measured is whether
anything grows with its length, not how much a large model needs.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np

RATE, SIZE = 25, (64, 96)


def make_video(path: pathlib.Path, seconds: int) -> None:
    """Write a video of a square that moves over a changing ground."""
    from kerasvit.render.video.frames import create_video

    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    with create_video(path, RATE) as write:
        for index in range(seconds * RATE):
            ground = 90 + 60 * np.sin((rows + columns + index) / 9)
            frame = np.repeat(ground[..., None], 3, axis=2).astype(np.uint8)
            left = index % (SIZE[1] - 20)
            frame[20:40, left : left + 20] = (250, 200, 40)
            write(frame)


def resident() -> float:
    """Return the resident set of this process in MiB."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this benchmark reads /proc")


def main() -> None:
    """Make the video, draw it, and print the memory after each minute of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()

    from kerasvit import look

    class Report(look.Listener):
        def frame_done(self, done, count):
            report(done)

    def report(done):
        if done % (60 * RATE) == 0:
            minutes = done // (60 * RATE)
            seconds = time.perf_counter() - start
            print(f"minute {minutes}: {resident():.0f} MiB, {done / seconds:.0f} frames/s")

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_video(folder / "long.mp4", 60 * options.minutes)
        print(f"before: {resident():.0f} MiB")
        start = time.perf_counter()
        drawn = look.video(
            folder / "long.mp4",
            out=folder / "out",
            formats=("mp4", "gif", "npz"),
            listener=Report(),
        )
        print(f"after: {resident():.0f} MiB")
        for file in drawn.files.values():
            print(f"{file.suffix}: {file.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
