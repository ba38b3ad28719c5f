"""What the page answers: from the values of its widgets to pictures, files or one line of error."""

import contextlib
import html
import pathlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import gradio as gr

from kerasvit.app.asked import PATCH, Asked
from kerasvit.app.controls import (
    Controls,
    choice_values,
    read_asked,
    read_compared,
    read_drawing,
    shown_values,
    side_value,
)
from kerasvit.app.downloads import Downloads
from kerasvit.app.limits import KEPT_SECONDS
from kerasvit.app.studio import Seen, Studio
from kerasvit.errors import InputError, KerasViTError
from kerasvit.memory import is_out_of_memory
from kerasvit.saliency import METHODS

_DRAWING = 4  # How many widgets `Controls.drawing` has.


class Answers:
    """Answers events; a fault of the input becomes a line on the page.

    Args:
        studio: explains and draws.
        downloads: makes files.
    """

    # Seconds between two looks at old uploads, and their age.
    removal = (KEPT_SECONDS // 6, KEPT_SECONDS)

    def __init__(self, studio: Studio, downloads: Downloads) -> None:
        self.studio, self._downloads = studio, downloads

    def model_chosen(self, model: str, method: str) -> list[Any]:
        """Return what there is to choose of a model."""
        problem = Problem()
        with problem.caught():
            choices = self.studio.choices(model)
            values = [*choice_values(choices, method), side_value(choices)]
            return [trouble(None), *(gr.update(**fields) for fields in values)]
        return [trouble(problem.line), *(gr.skip() for _ in range(6))]

    def shown(self, model: str, method: str, block: int) -> list[Any]:
        """Return which widgets concern a method."""
        problem = Problem()
        with problem.caught():
            values = shown_values(self.studio.choices(model), method, int(block))
            return [gr.update(**fields) for fields in values]
        return [gr.skip() for _ in range(5)]

    def draw(self, path: str | None, *values: Any) -> list[Any]:
        """Return the picture, the one beside it, what they show, and the classes."""
        if not path:
            return [trouble(None), None, "", gr.Column(visible=False), None, "", _classes(None)]
        problem = Problem(path)
        with problem.caught():
            asked, other = self._asked(values)
            drawing = read_drawing(list(values[-_DRAWING:]))
            shown, seen = self.studio.draw(pathlib.Path(path), asked, drawing)
            first = [shown, _caption(asked, seen)]
            beside: list[Any] = [gr.Column(visible=False), None, ""]
            if other is not None:
                shown, other_seen = self.studio.draw(pathlib.Path(path), other, drawing)
                beside = [gr.Column(visible=True), shown, _caption(other, other_seen)]
            return [trouble(None), *first, *beside, _classes(seen)]
        empty = [None, "", gr.Column(visible=False), None, "", _classes(None)]
        return [trouble(problem.line), *empty]

    def pointed(self, event: gr.SelectData, path: str | None, *values: Any) -> list[Any]:
        """Return the place that was clicked on, and the widgets that let its patch ask."""
        problem = Problem(path)
        with problem.caught():
            height, width = self.studio.shown_size(pathlib.Path(path or ""))
            column, row = event.index
            point = ((row + 0.5) / height, (column + 0.5) / width)
            _, model, method, _, block, *_ = values
            choices = self.studio.choices(model)
            if "query" not in (METHODS[method].takes if method else ()):
                method = "attention"
            block = choices.asking_patches(int(block))
            fields = shown_values(choices, method, block)
            fields[0]["value"], fields[2]["value"], fields[4]["value"] = method, block, PATCH
            return [point, *(gr.update(**own) for own in fields)]
        return [gr.skip() for _ in range(6)]

    def files(self, path: str | None, *values: Any) -> list[Any]:
        """Make files to download; return them, and the sheet to look at."""
        problem = Problem(path)
        with problem.caught():
            asked, _ = self._asked(values)
            drawing = read_drawing(list(values[-_DRAWING - 1 : -1]))
            files = self._downloads.of_picture(_given(path, "picture"), asked, drawing, values[-1])
            sheet = files.get("sheet")
            return [
                trouble(None),
                gr.update(value=[str(file) for file in files.values()], visible=True),
                gr.update(value=str(sheet) if sheet else None, visible=sheet is not None),
            ]
        return [trouble(problem.line), gr.update(visible=False), gr.update(visible=False)]

    def compare(self, first: str | None, second: str | None, model: str) -> list[Any]:
        """Return the page of two pictures on which a patch shows what is alike, in a frame."""
        problem = Problem(first)
        with problem.caught():
            paths = [pathlib.Path(_given(path, "picture")) for path in (first, second)]
            page = html.escape(self.studio.compare(paths, model))
            # Its own scripts run there, apart from this page.
            frame = f'<iframe sandbox="allow-scripts" title="alike" srcdoc="{page}"></iframe>'
            return [trouble(None), frame]
        return [trouble(problem.line), ""]

    def film(self, path: str | None, progress: Any = gr.Progress(), *values: Any) -> list[Any]:  # noqa: B008
        """Draw a video; return it with its files."""
        problem = Problem(path)
        with problem.caught():
            asked, _ = self._asked(values)
            drawing = read_drawing(list(values[-_DRAWING - 1 : -1]))

            def report(done: int, count: int | None) -> None:
                progress((done, count), desc="frames", unit="frames")

            video = _given(path, "video")
            files = self._downloads.of_video(video, asked, drawing, values[-1], report)
            listed = [str(file) for file in files.values()]
            return [trouble(None), str(files["mp4"]), gr.update(value=listed, visible=True)]
        return [trouble(problem.line), None, gr.update(visible=False)]

    def _asked(self, values: tuple[Any, ...]) -> tuple[Asked, Asked | None]:
        """Return what is drawn, and what is drawn beside it."""
        asking = list(values[: len(Controls.ASKING)])
        asked = read_asked(self.studio.choices(asking[1]), asking)
        other_model = asking[-2] or asked.model
        return asked, read_compared(asked, self.studio.choices(other_model), asking)


class Problem:
    """The line of an error that was caught, if one was.

    Args:
        path: of the upload, whose place on this computer the line leaves out.
    """

    def __init__(self, path: str | None = None) -> None:
        self.line: str | None = None
        self._path = path

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch whatever goes wrong; what is not the input's fault is printed as well."""
        try:
            yield
        except KerasViTError as error:
            self.line = self._named(str(error))
        except Exception as error:
            if is_out_of_memory(error):
                self.line = "out of memory; choose a smaller size for the model"
                return
            traceback.print_exc(file=sys.stderr)
            text = " ".join(str(error).split())
            self.line = self._named(f"{type(error).__name__}: {text} (a bug; see the terminal)")

    def _named(self, text: str) -> str:
        if not self._path:
            return text
        path = pathlib.Path(self._path)
        return text.replace(str(path), path.name)


def trouble(line: str | None) -> Any:
    """Return what shows an error, or hides the last one."""
    text = f'<p role="alert">{html.escape(line)}</p>' if line else ""
    return gr.update(value=text, visible=bool(line))


def _given(path: str | None, what: str) -> pathlib.Path:
    if not path:
        raise InputError(f"There is no {what} yet. Received: none. Drop one on the left")
    return pathlib.Path(path)


def _caption(asked: Asked, seen: Seen) -> str:
    place = "" if seen.patch is None else f" · from patch {seen.patch[0]},{seen.patch[1]}"
    rows, columns = seen.result.layout.grid
    text = f"{seen.title}{place}"
    return f"<p>{html.escape(text)}</p><p>{html.escape(asked.model)} · {rows}x{columns} patches</p>"


def _classes(seen: Seen | None) -> Any:
    """Return what shows the probabilities; nothing of a model without classes."""
    if seen is None or not seen.classes:
        return gr.update(visible=False)
    shares = {name: probability for _, name, probability in seen.classes}
    return gr.update(value=shares, visible=True)
