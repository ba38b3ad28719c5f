"""A video in, a video out: where a model looks, frame by frame."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np

from kerasvit.files import check_outputs
from kerasvit.images import Prepared
from kerasvit.images.geometry import Geometry
from kerasvit.look.explainer import Explainer
from kerasvit.look.settings import Settings
from kerasvit.render import Canvas, Look
from kerasvit.render.video.frames import create_video, open_video
from kerasvit.render.video.series import create_series
from kerasvit.render.video.steady import SteadyRange
from kerasvit.saliency import explain

_BATCH = 8

Report = Callable[[int, int | None], None]


def draw_video(
    path: pathlib.Path,
    explainer: Explainer,
    method: str,
    files: Sequence[pathlib.Path],
    overwrite: bool = False,
    report: Report = lambda done, count: None,
) -> list[str]:
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

    Returns:
        What is worth saying of the video, such as where it is damaged.

    Raises:
        InputError: if no frame of the video can be read; nothing is written.
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
        painter = _Painter.of(settings, method, geometry, video.rate)
        said = {"method": method, "mode": settings.video_mode, **arguments}
        facts = _facts(path, video.rate, geometry, said)
        sinks = [stack.enter_context(_sink(file, video.rate, facts, overwrite)) for file in files]
        maps = _explained(video.frames, prepare, explainer.model, method, arguments)
        for done, (frame, values) in enumerate(maps, start=1):
            picture = painter.paint(frame, values)
            for sink in sinks:
                sink(picture, values, painter.range)
            report(done, video.count)
        return list(video.notes)


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

    mode: str
    look: Look
    colormap: str
    geometry: Geometry
    steady: SteadyRange

    @classmethod
    def of(cls, settings: Settings, method: str, geometry: Geometry, rate: Fraction) -> Self:
        """Return the painter of a method's maps, drawn as those of a picture are."""
        mode = settings.video_mode
        style = "mask" if mode == "mask" else settings.style
        look = Look.of(method, style, settings.drawn_mass)
        # A mask has two values, however few patches hold one of them.
        percentiles = (0.0, 100.0) if look.interpolation == "nearest" else (1.0, 99.0)
        steady = SteadyRange(
            float(rate), percentiles=percentiles, from_zero=look.normalisation == "max"
        )
        return cls(mode, look, settings.colormap, geometry, steady)

    @property
    def range(self) -> np.ndarray:
        """The range of the colours of the frame before, `(2,)`."""
        assert self.steady.range is not None
        return self.steady.range

    def paint(self, frame: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return uint8 `(h, w, 3)`, twice as wide side by side."""
        canvas = Canvas(frame, self.geometry, self.colormap)
        scaled = self.steady.normalise(values)
        look = self.look
        if self.mode == "mask":
            return look.overlay(canvas, values)
        if self.mode == "overlay":
            return canvas.overlay(scaled, look.style, look.alpha, look.interpolation)
        heatmap = canvas.overlay(scaled, "heatmap", look.alpha, look.interpolation)
        return np.hstack([frame, heatmap])
