"""Videos by ffmpeg, a program of its own that hands over raw frames; MP4 is what it writes."""

import contextlib
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import IO

import numpy as np

from kerasvit.errors import InputError, UsageError
from kerasvit.images.reading import MAX_PIXELS
from kerasvit.render.video.clip import Clip, WriteFrame, damaged

# Some recorders state no rate, and ffmpeg then takes the clock's ticks, 1000 or 90000 a second.
_FASTEST = 240
_RATE_IF_UNKNOWN = Fraction(30)
# Visually lossless for photographs; the default, 23, blurs the edges of patches.
_QUALITY = "18"
_RANGES = "scale=out_color_matrix=bt709:out_range=tv"
_COLOURS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]


def executable() -> str:
    """Return the path of ffmpeg.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            "Videos other than GIF, APNG and WebP need ffmpeg. Received: not installed. "
            'Install it with: pip install "kerasvit[video]"'
        ) from error


@contextlib.contextmanager
def reader(path: pathlib.Path) -> Iterator[Clip]:
    """Open a video; see `kerasvit.render.video.frames.open_video`."""
    rate, size, count = _probe(path)
    command = [*_input(path), "-r", str(rate), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    with tempfile.TemporaryFile() as log, _process(command, log, reads=True) as process:
        yield Clip(rate, size, count, _frames(process, log, size, path))


def _input(path: pathlib.Path) -> list[str]:
    """Return the part of the command that opens the file; any fault in it ends ffmpeg."""
    return [
        *(executable(), "-nostdin", "-hide_banner", "-xerror", "-protocol_whitelist", "file,pipe"),
        # With the protocol named, a colon in a file's name is only a colon.
        *("-i", f"file:{path}", "-map", "0:v:0", "-fps_mode", "cfr"),
        *("-vf", "scale=iw*sar:ih,setsar=1"),
    ]


def _probe(path: pathlib.Path) -> tuple[Fraction, tuple[int, int], int | None]:
    """Return rate, `(height, width)` and number of frames, from decoding the first one."""
    command = [*_input(path), "-frames:v", "1", "-f", "framecrc", "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)
    facts, log = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    clock = re.search(r"^#tb 0: (\d+)/(\d+)", facts, re.M)
    sides = re.search(r"^#dimensions 0: (\d+)x(\d+)", facts, re.M)
    if done.returncode or not clock or not sides:
        raise damaged(path, _reason(log))
    rate = Fraction(int(clock[2]), int(clock[1]))
    rate = rate if rate <= _FASTEST else _RATE_IF_UNKNOWN
    width, height = int(sides[1]), int(sides[2])
    if width * height > MAX_PIXELS:
        raise InputError(
            f"The video {str(path)!r} is refused: a frame has up to {MAX_PIXELS} pixels. "
            f"Received: {width} x {height}. Make it smaller."
        )
    length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", log)
    if not length:
        return rate, (height, width), None
    seconds = 3600 * int(length[1]) + 60 * int(length[2]) + float(length[3])
    return rate, (height, width), max(1, round(seconds * rate))


def _frames(
    process: subprocess.Popen, log: IO[bytes], size: tuple[int, int], path: pathlib.Path
) -> Iterator[np.ndarray]:
    shape = (*size, 3)
    length = shape[0] * shape[1] * 3
    pipe = process.stdout
    assert pipe is not None
    while len(raw := pipe.read(length)) == length:
        yield np.frombuffer(raw, np.uint8).reshape(shape)
    # Matroska's reader mentions a missing end and does not fail.
    if process.wait() or raw or b"prematurely" in _text(log):
        raise damaged(path, _reason(_text(log).decode("utf-8", "replace")))


@contextlib.contextmanager
def writer(path: pathlib.Path, rate: Fraction) -> Iterator[WriteFrame]:
    """Write an MP4 file; see `kerasvit.render.video.frames.create_video`."""
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        started: list[subprocess.Popen] = []

        def write(frame: np.ndarray) -> None:
            padding = [(0, side % 2) for side in frame.shape[:2]]
            frame = np.pad(frame, [*padding, (0, 0)], mode="edge")
            if not started:
                command = _output(path, rate, frame.shape)
                started.append(stack.enter_context(_process(command, log, reads=False)))
            pipe = started[0].stdin
            assert pipe is not None
            try:
                pipe.write(frame.tobytes())
            except OSError:
                _finish(started[0], log)
                raise

        yield write
        if not started:
            raise InputError("A video has at least one frame. Received: none.")
        _finish(started[0], log)


def _output(path: pathlib.Path, rate: Fraction, shape: Sequence[int]) -> list[str]:
    return [
        *(executable(), "-hide_banner", "-v", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}"),
        *("-r", str(rate), "-i", "pipe:0", "-an", "-vf", _RANGES, "-c:v", "libx264"),
        *("-preset", "veryfast", "-crf", _QUALITY, "-pix_fmt", "yuv420p", *_COLOURS),
        # The index in front: a browser plays it before the whole file has come.
        *("-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]


def _finish(process: subprocess.Popen, log: IO[bytes]) -> None:
    """Let ffmpeg end the file, and raise `OSError` if it could not."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    if process.wait():
        raise OSError(_reason(_text(log).decode("utf-8", "replace")))


@contextlib.contextmanager
def _process(command: list[str], log: IO[bytes], reads: bool) -> Iterator[subprocess.Popen]:
    """Run ffmpeg for as long as the block lasts."""
    read, written = (subprocess.PIPE, None) if reads else (None, subprocess.PIPE)
    process = subprocess.Popen(command, stdin=written, stdout=read, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()


def _text(log: IO[bytes]) -> bytes:
    log.seek(0)
    return log.read()


def _reason(log: str) -> str:
    """Return what ffmpeg complains of first, without the names of its parts."""
    lines = re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] ?", "", log).splitlines()
    faults = [
        line for line in lines if re.search(r"(?i)error|invalid|premature|not found|no ", line)
    ]
    return (faults or lines or ["nothing from ffmpeg"])[0]
