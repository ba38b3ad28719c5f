"""A video in, a video out: where a model looks, frame by frame."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.files import check_outputs
from kerasvit.images.geometry import Geometry
from kerasvit.render.overlay import overlay
from kerasvit.render.video.frames import create_video, open_video
from kerasvit.render.video.series import create_series
from kerasvit.render.video.steady import SteadyRange
from kerasvit.saliency import explain, mass_mask

MODES = ("side-by-side", "overlay", "mask")
FORMATS = ("mp4", "gif", "npz")

# Methods whose maps are signed: what is negative speaks against the class.
_SIGNED = ("integrated_gradients", "occlusion")
_BATCH = 8


def draw_video(
    path: pathlib.Path,
    folder: pathlib.Path,
    model: Any,
    preprocessing: Any,
    *,
    method: str = "attention",
    settings: Mapping[str, Any] | None = None,
    formats: Sequence[str] = ("mp4", "npz"),
    mode: str = "side-by-side",
    resize: int | None = None,
    colormap: str = "cividis",
    mass: float = 0.6,
    overwrite: bool = False,
    report: Callable[[int, int | None], None] = lambda done, count: None,
) -> list[pathlib.Path]:
    """Draw where a model looks in every frame of a video, at the video's own rate, without sound.

    The video is read, explained and written a few frames at a time. The range of the colours
    follows the maps slowly, see `kerasvit.render.video.steady.SteadyRange`; `"mask"` has none.

    Args:
        path: the video or animation.
        folder: where the files go; they are called `NAME.METHOD.mp4` and so on.
        model: a kerasvit model.
        preprocessing: its `kerasvit.images.Preprocessing`.
        method: see `kerasvit.saliency.explain`.
        settings: further keyword arguments of `kerasvit.saliency.explain`.
        formats: of `"mp4"`, `"gif"`, and `"npz"`, the maps of all frames `(T, rows, columns)` with
            the range of the colours `(T, 2)` and the place on the frame. What only a picture can
            have is passed over; without `"mp4"` and `"gif"`, MP4 is written.
        mode: `"side-by-side"`, the frame and its map; `"overlay"`, the map over the frame;
            `"mask"`, the patches with most of the mass as they are, the rest dark.
        resize: length of the shorter side in pixels that the model sees; None for its own.
        colormap: see `kerasvit.render.colourise`.
        mass: the share of the mass that `"mask"` shows, see `kerasvit.saliency.mass_mask`.
        overwrite: whether existing files may be replaced.
        report: called with the number of frames done and how many there are, if known.

    Returns:
        The files written.

    Raises:
        InputError: if the video cannot be read to its end; nothing is written.
        OutputError: if a file cannot be written, or exists and `overwrite` is false.
        UsageError: if an option is unknown, or ffmpeg is needed and not installed.
    """
    settings = _checked(mode, formats, settings)
    files = [folder / f"{path.stem}.{method}.{suffix}" for suffix in _kept(formats)]
    check_outputs(files, overwrite=overwrite, inputs=[path])
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(open_video(path))
        fit = {"short_side": resize, "patch_size": model.patch_size}
        geometry = preprocessing.keep_aspect(np.zeros((*video.size, 3), np.uint8), **fit).geometry
        painter = _Painter(mode, colormap, mass, geometry, _range(video.rate, method))
        facts = _facts(path, video.rate, geometry, {"method": method, "mode": mode, **settings})
        sinks = [stack.enter_context(_sink(file, video.rate, facts, overwrite)) for file in files]

        def prepare(frame):
            return preprocessing.keep_aspect(frame, **fit).pixels

        maps = _explained(video.frames, prepare, model, method, settings)
        for done, (frame, values) in enumerate(maps, start=1):
            picture = painter.paint(frame, values)
            for sink in sinks:
                sink(picture, values, painter.steady.range)
            report(done, video.count)
    return files


def _checked(
    mode: str, formats: Sequence[str], settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the settings, or raise `UsageError` if something in them cannot be drawn."""
    if mode not in MODES:
        raise UsageError(
            f"There is no such way to draw a video. Received: mode={mode!r}. "
            f"Choose one of {', '.join(map(repr, MODES))}."
        )
    settings = dict(settings or {})
    if settings.get("heads", "mean") in (None, "all"):
        raise UsageError(
            "A video shows one map a frame. Received: every head on its own. "
            "Choose one head, or combine them: heads='mean'."
        )
    return settings


def _kept(formats: Sequence[str]) -> list[str]:
    kept = [name for name in FORMATS if name in formats]
    return kept if {"mp4", "gif"} & set(kept) else ["mp4", *kept]


def _range(rate: Fraction, method: str) -> SteadyRange:
    return SteadyRange(rate, from_zero=method in _SIGNED)


def _facts(
    path: pathlib.Path, rate: Fraction, geometry: Geometry, settings: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return what the file of the maps says besides them."""
    header = {"video": path.name, "rate": str(rate), **settings}
    return {
        "box": np.array(geometry.box),
        "original_size": np.array(geometry.original_size),
        "rate": np.array(float(rate)),
        "header": np.array(json.dumps(header, ensure_ascii=False, default=str)),
    }


@contextlib.contextmanager
def _sink(
    file: pathlib.Path, rate: Fraction, facts: Mapping[str, np.ndarray], overwrite: bool
) -> Iterator[Callable[[np.ndarray, np.ndarray, np.ndarray], None]]:
    """Open a file of any format for frames, their maps and the range of the colours."""
    if file.suffix == ".npz":
        with create_series(file, facts, overwrite) as append:
            yield lambda _, values, limits: append(values=values, range=limits)
    else:
        with create_video(file, rate, overwrite) as write:
            yield lambda picture, *_: write(picture)


def _explained(
    frames: Iterator[np.ndarray],
    prepare: Callable[[np.ndarray], np.ndarray],
    model: Any,
    method: str,
    settings: Mapping[str, Any],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each frame with its map, running a few frames at once."""
    size = settings.get("batch_size", _BATCH)
    while batch := list(itertools.islice(frames, size)):
        pixels = np.stack([prepare(frame) for frame in batch])
        result = explain(model, pixels, method, **settings)
        yield from zip(batch, result.values, strict=True)


@dataclasses.dataclass(frozen=True)
class _Painter:
    """The way from a frame and its map to the frame that is written."""

    mode: str
    colormap: str
    mass: float
    geometry: Geometry
    steady: SteadyRange

    def paint(self, frame: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return uint8 `(h, w, 3)`, twice as wide side by side."""
        shown = self.steady.normalise(values)
        if self.mode == "mask":
            return self._drawn(frame, mass_mask(values, self.mass), "mask", "nearest")
        if self.mode == "overlay":
            return self._drawn(frame, shown, "blend", "bicubic")
        return np.hstack([frame, self._drawn(frame, shown, "heatmap", "bicubic")])

    def _drawn(
        self, frame: np.ndarray, values: np.ndarray, style: str, interpolation: str
    ) -> np.ndarray:
        placed = self.geometry.place(values.astype(np.float32), interpolation=interpolation)
        return overlay(frame, placed, self.colormap, style=style)
