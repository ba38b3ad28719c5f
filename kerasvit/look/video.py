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

from kerasvit.files import check_outputs
from kerasvit.images import Prepared
from kerasvit.images.geometry import Geometry
from kerasvit.look.explainer import Explainer
from kerasvit.look.settings import Settings
from kerasvit.render.overlay import overlay
from kerasvit.render.video.frames import create_video, open_video
from kerasvit.render.video.series import create_series
from kerasvit.render.video.steady import SteadyRange
from kerasvit.saliency import explain, mass_mask

# Methods whose maps are signed: what is negative speaks against the class.
_SIGNED = ("integrated_gradients", "occlusion")
_BATCH = 8

Report = Callable[[int, int | None], None]


def draw_video(
    path: pathlib.Path,
    explainer: Explainer,
    method: str,
    files: Sequence[pathlib.Path],
    overwrite: bool = False,
    report: Report = lambda done, count: None,
) -> None:
    """Draw where a model looks in every frame of a video, at the video's own rate, without sound.

    The video is read, explained and written a few frames at a time. The range of the colours
    follows the maps slowly, see `kerasvit.render.video.steady.SteadyRange`; a mask has none.

    Args:
        path: the video or animation.
        explainer: the model and the settings.
        method: one of those of the settings.
        files: what is written, by its suffix: `.mp4`, `.gif`, and `.npz`, the maps of all frames
            `(T, rows, columns)` with the range of the colours `(T, 2)` and the place on the frame.
        overwrite: whether existing files may be replaced.
        report: called with the number of frames done and how many there are, if known.

    Raises:
        InputError: if the video cannot be read to its end; nothing is written.
        OutputError: if a file cannot be written, or exists and `overwrite` is false.
        UsageError: if ffmpeg is needed and not installed.
    """
    settings, preprocessing = explainer.settings, explainer.preprocessing
    arguments = settings.arguments(method, explainer.target)
    check_outputs(files, overwrite=overwrite, inputs=[path])
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(open_video(path))

        def prepare(frame: np.ndarray) -> Prepared:
            patch_size = explainer.model.patch_size
            return preprocessing.keep_aspect(frame, settings.resize, patch_size=patch_size)

        geometry = prepare(np.zeros((*video.size, 3), np.uint8)).geometry
        painter = _Painter(settings, geometry, _range(video.rate, method))
        said = {"method": method, "mode": settings.video_mode, **arguments}
        facts = _facts(path, video.rate, geometry, said)
        sinks = [stack.enter_context(_sink(file, video.rate, facts, overwrite)) for file in files]
        maps = _explained(video.frames, prepare, explainer.model, method, arguments)
        for done, (frame, values) in enumerate(maps, start=1):
            picture = painter.paint(frame, values)
            for sink in sinks:
                sink(picture, values, painter.steady.range)
            report(done, video.count)


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
    prepare: Callable[[np.ndarray], Prepared],
    model: Any,
    method: str,
    arguments: Mapping[str, Any],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each frame with its map, running a few frames at once."""
    while batch := list(itertools.islice(frames, _BATCH)):
        pixels = np.stack([prepare(frame).pixels for frame in batch])
        result = explain(model, pixels, method, batch_size=_BATCH, **arguments)
        yield from zip(batch, result.values, strict=True)


@dataclasses.dataclass(frozen=True)
class _Painter:
    """The way from a frame and its map to the frame that is written."""

    settings: Settings
    geometry: Geometry
    steady: SteadyRange

    def paint(self, frame: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return uint8 `(h, w, 3)`, twice as wide side by side."""
        shown = self.steady.normalise(values)
        mode = self.settings.video_mode
        if mode == "mask":
            chosen = mass_mask(values, self.settings.drawn_mass)
            return self._drawn(frame, chosen, "mask", "nearest")
        if mode == "overlay":
            return self._drawn(frame, shown, "blend", "bicubic")
        return np.hstack([frame, self._drawn(frame, shown, "heatmap", "bicubic")])

    def _drawn(
        self, frame: np.ndarray, values: np.ndarray, style: str, interpolation: str
    ) -> np.ndarray:
        placed = self.geometry.place(values.astype(np.float32), interpolation=interpolation)
        return overlay(frame, placed, self.settings.colormap, style=style)
