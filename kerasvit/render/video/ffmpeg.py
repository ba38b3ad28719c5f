"""Videos by ffmpeg, a program of its own that hands over raw frames; MP4 is what it writes."""

import contextlib
import dataclasses
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import IO

import numpy as np
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.colours import image_to_rgb, is_lost_on_white
from kerasvit.images.limits import MAX_MOVING_PIXELS
from kerasvit.render.video.clip import Clip, WriteFrame, damaged
from kerasvit.render.video.containers import reader_of

# Some recorders state no rate, and ffmpeg then takes the clock's ticks, 1000 or 90000 a second.
_FASTEST = 240
_RATE_IF_UNKNOWN = Fraction(30)
# Visually lossless for photographs; the default, 23, blurs the edges of patches.
_QUALITY = "18"
_LONGEST_LOG = 2**20
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_ALPHA_FORMATS = r"yuva\w+|rgba\w*|argb\w*|bgra\w*|abgr\w*|gbrap\w*|ya8|ya16\w*|pal8"
_FAULTS = r"\[(?:error|fatal)\]|corrupt|prematurely|partial file"
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
    stream = _probe(path)
    pixels = "rgba" if stream.has_alpha else "rgb24"
    output = ["-r", str(stream.rate), "-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"]
    command = [*_input(path, stream.decoder), *output]
    notes = list(stream.notes)
    with tempfile.TemporaryFile() as log, _process(command, log, reads=True) as process:
        frames = _frames(process, log, stream, path, notes)
        yield Clip(stream.rate, stream.size, stream.count, frames, notes)


@dataclasses.dataclass(frozen=True)
class _Stream:
    """What is known of a video before it is read: its rate, size, length, and how it is decoded."""

    rate: Fraction
    size: tuple[int, int]
    count: int | None
    has_alpha: bool
    decoder: str | None = None
    notes: tuple[str, ...] = ()


def _input(path: pathlib.Path, decoder: str | None = None) -> list[str]:
    """Return the part of the command that opens the file.

    A frame with a fault in it is left out, and the one before it shown longer.
    """
    return [
        *(executable(), "-nostdin", "-hide_banner", "-loglevel", "repeat+level+info"),
        *("-protocol_whitelist", "file,pipe", "-err_detect", "explode"),
        *(("-c:v", decoder) if decoder else ()),
        # With the protocol named, a colon in a file's name is only a colon.
        *("-f", reader_of(path), "-i", f"file:{path}", "-map", "0:v:0", "-fps_mode", "cfr"),
        *("-vf", "scale=iw*sar:ih,setsar=1"),
    ]


def _probe(path: pathlib.Path) -> _Stream:
    """Return what decoding the first frame tells of a video."""
    stream, log = _probe_by(path, None)
    codec = re.search(r"Video: (vp[89])\b", log)
    if codec and re.search(r"alpha_mode\s*: 1", log):
        # ffmpeg's own decoders of these two leave the transparency out.
        try:
            return _probe_by(path, _WITH_ALPHA[codec[1]])[0]
        except InputError:
            note = "its transparency cannot be read by this ffmpeg: hidden colours show"
            return dataclasses.replace(stream, notes=(note,))
    return stream


def _probe_by(path: pathlib.Path, decoder: str | None) -> tuple[_Stream, str]:
    command = [*_input(path, decoder), "-frames:v", "1", "-f", "framecrc", "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)
    facts, log = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    clock = re.search(r"^#tb 0: (\d+)/(\d+)", facts, re.M)
    sides = re.search(r"^#dimensions 0: (\d+)x(\d+)", facts, re.M)
    if not clock or not sides:
        raise damaged(path, _reason(log))
    rate = Fraction(int(clock[2]), int(clock[1]))
    rate = rate if rate <= _FASTEST else _RATE_IF_UNKNOWN
    width, height = int(sides[1]), int(sides[2])
    if width * height > MAX_MOVING_PIXELS:
        raise InputError(
            f"The video {str(path)!r} is refused: a frame has up to {MAX_MOVING_PIXELS} pixels. "
            f"Received: {width} x {height}. Make it smaller."
        )
    has_alpha = re.search(rf"Video: [^\n]*\b({_ALPHA_FORMATS})\b", log) is not None
    length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", log)
    count = None
    if length:
        seconds = 3600 * int(length[1]) + 60 * int(length[2]) + float(length[3])
        count = max(1, round(seconds * rate))
    return _Stream(rate, (height, width), count, has_alpha, decoder), log


def _frames(
    process: subprocess.Popen,
    log: IO[bytes],
    stream: _Stream,
    path: pathlib.Path,
    notes: list[str],
) -> Iterator[np.ndarray]:
    shape = (*stream.size, 4 if stream.has_alpha else 3)
    length = shape[0] * shape[1] * shape[2]
    pipe = process.stdout
    assert pipe is not None
    done, ground = 0, None
    while len(raw := pipe.read(length)) == length:
        frame = np.frombuffer(raw, np.uint8).reshape(shape)
        if stream.has_alpha:
            ground = ground or _ground(frame)
            frame = image_to_rgb(Image.fromarray(frame), ground=ground or "white")
        done += 1
        yield frame
    code, said = process.wait(), _text(log).decode("utf-8", "replace")
    is_short = stream.count is not None and done < stream.count - max(2, stream.count // 20)
    fault = re.search(_FAULTS, said)
    if not done:
        raise damaged(path, _reason(said))
    if code or raw or is_short or fault:
        about = f" of about {stream.count}" if stream.count else ""
        notes.append(f"it is damaged or cut off: {done}{about} frames are shown ({_reason(said)})")


def _ground(frame: np.ndarray) -> str | None:
    """Return what a video lies on, from the first frame in which something is drawn."""
    if not frame[..., 3].any():
        return None
    return "black" if is_lost_on_white(Image.fromarray(frame)) else "white"


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
    return log.read(_LONGEST_LOG)


def _reason(log: str) -> str:
    """Return what ffmpeg complains of first, without the names of its parts."""
    faults = [line for line in log.splitlines() if re.search(_FAULTS, line)]
    lines = [re.sub(r"\[[^\]]*\] ?", "", line).strip() for line in faults or log.splitlines()]
    words = [
        line for line in lines if re.search(r"(?i)error|invalid|premature|not found|no |par", line)
    ]
    return (words or [line for line in lines if line] or ["nothing from ffmpeg"])[0].rstrip(".")
