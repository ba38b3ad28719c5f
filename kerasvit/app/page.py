"""The page: where its parts lie, and what happens when a visitor touches one."""

import pathlib
from collections.abc import Sequence
from typing import Any

import gradio as gr

from kerasvit.app.answers import Answers, trouble
from kerasvit.app.comparison import lay_out_comparison
from kerasvit.app.controls import Controls
from kerasvit.app.downloads import KINDS, MODES

TITLE = "kerasvit: where a model looks"
CSS = pathlib.Path(__file__).parent / "page.css"
_HEADING = "# Where does the model look?"
_HINT = (
    "Drop or photograph a picture. A click on the result shows what that patch attends to. "
    "Nothing leaves this computer."
)


class Page:
    """Lays out the page and wires it.

    Args:
        answers: computes what is shown.
        examples: pictures to start with.
    """

    def __init__(self, answers: Answers, examples: Sequence[pathlib.Path] = ()) -> None:
        self._answers, self._examples = answers, examples
        names = answers.studio.shelf.names
        self._controls = Controls(names, answers.studio.choices(names[0]))
        # One computation at a time, whoever asks: the others wait in line.
        self._turn: dict[str, Any] = {
            "concurrency_id": "model",
            "concurrency_limit": 1,
            "api_visibility": "private",
        }

    def build(self) -> gr.Blocks:
        """Return the page, not served yet."""
        with gr.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=self._answers.removal
        ) as blocks:
            gr.Markdown(_HEADING)
            gr.Markdown(_HINT, elem_id="hint")
            with gr.Row():
                with gr.Column(scale=4, min_width=300, elem_id="asking"):
                    with gr.Column(elem_id="inputs"):
                        self._lay_out_inputs()
                    with gr.Column(elem_id="controls"):
                        self._controls.lay_out()
                with gr.Column(scale=7, min_width=300, elem_id="answer"):
                    self._lay_out_problem()
                    with gr.Column(visible=True) as self._picture_side:
                        self._lay_out_pictures()
                    with gr.Column(visible=False) as self._video_side:
                        self._lay_out_video()
            lay_out_comparison(self._answers, self._controls.model, _path, self._turn)
            self._wire_choices()
            self._wire_pictures()
            self._wire_videos()
        return blocks

    def _lay_out_inputs(self) -> None:
        with gr.Tabs(elem_id="kinds_of_input"):
            with gr.Tab("Picture", id="picture") as self._picture_tab:
                self._picture = gr.Image(
                    type="filepath", sources=["upload", "webcam", "clipboard"], height=240,
                    show_label=False, buttons=[], elem_id="picture",
                    webcam_options=gr.WebcamOptions(mirror=False),
                )  # fmt: skip
                # The command's reader decodes the very bytes that came; no other decoder does.
                self._picture.preprocess = _path  # type: ignore[method-assign]
                if self._examples:
                    gr.Examples(
                        [[str(path)] for path in self._examples], self._picture,
                        label="Examples", examples_per_page=8, elem_id="examples",
                        api_visibility="private",
                    )  # fmt: skip
            with gr.Tab("Video", id="video") as self._video_tab:
                self._video = gr.Video(
                    sources=["upload"], height=240, show_label=False, buttons=[], elem_id="video"
                )
                self._video.preprocess = _path

    def _lay_out_problem(self) -> None:
        self._problem = gr.HTML(visible=False, elem_id="problem")

    def _lay_out_pictures(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(min_width=260):
                self._shown, self._caption = _map("shown")
            with gr.Column(min_width=260, visible=False) as self._other_side:
                self._other, self._other_caption = _map("other")
        with gr.Row():
            self._classes = gr.Label(
                label="Probabilities", num_top_classes=5, show_heading=False, visible=False,
                elem_id="classes",
            )  # fmt: skip
        with gr.Accordion("Download", open=False, elem_id="download"):
            self._kinds = gr.CheckboxGroup(
                [(label, kind) for kind, (label, _) in KINDS.items()],
                value=["sheet", "overlay", "arrays"], label="Files", elem_id="kinds",
            )  # fmt: skip
            self._make = gr.Button("Make the files", variant="primary", elem_id="make")
            self._files = gr.Files(
                label="The files of kerasvit saliency", visible=False, interactive=False,
                elem_id="files",
            )  # fmt: skip
            self._sheet = gr.Image(
                show_label=False, visible=False, interactive=False, buttons=["fullscreen"],
                type="filepath", elem_id="sheet",
            )  # fmt: skip

    def _lay_out_video(self) -> None:
        self._mode = gr.Radio(list(MODES), value=MODES[0], label="Drawn", elem_id="mode")
        self._film = gr.Button("Draw the video", variant="primary", elem_id="film")
        self._drawn_video = gr.Video(
            label="Video", interactive=False, autoplay=True, loop=True, buttons=["download"],
            elem_id="drawn_video",
        )  # fmt: skip
        self._video_files = gr.Files(
            label="Files", visible=False, interactive=False, elem_id="video_files"
        )

    # ---- events ----

    def _results(self) -> list[Any]:
        return [
            *(self._problem, self._shown, self._caption),
            *(self._other_side, self._other, self._other_caption, self._classes),
        ]

    def _wire_choices(self) -> None:
        controls, answers = self._controls, self._answers
        chosen = [controls.model, controls.method]
        controls.model.input(
            answers.model_chosen,
            chosen,
            [self._problem, *controls.choice_widgets(), controls.resize],
            show_progress="hidden",
            **self._turn,
        ).then(**self._drawing())
        touched: list[Any] = [controls.method, controls.block]
        for widget in touched:
            widget.input(
                answers.shown,
                [*chosen, controls.block],
                controls.choice_widgets(),
                show_progress="hidden",
                trigger_mode="always_last",
                **self._turn,
            ).then(**self._drawing())

    def _drawing(self) -> dict[str, Any]:
        """Return what draws the picture, as an event takes it."""
        controls = self._controls
        return {
            "fn": self._answers.draw,
            "inputs": [self._picture, *controls.asking(), *controls.drawing()],
            "outputs": self._results(),
            "show_progress": "minimal",
            "show_progress_on": [self._shown],
            **self._turn,
        }

    def _wire_pictures(self) -> None:
        controls, answers = self._controls, self._answers
        others: list[Any] = [controls.target, controls.head, controls.query, controls.resize]
        others += [controls.other_model, controls.other_method, *controls.drawing()]
        gr.on(
            [self._picture.change, *(widget.input for widget in others)],
            trigger_mode="always_last",
            **self._drawing(),
        )
        for shown in (self._shown, self._other):
            shown.select(
                answers.pointed,
                [self._picture, *controls.asking()],
                [controls.point, *controls.choice_widgets()],
                show_progress="hidden",
                **self._turn,
            ).then(**self._drawing())
        self._make.click(
            answers.files,
            [self._picture, *controls.asking(), *controls.drawing(), self._kinds],
            [self._problem, self._files, self._sheet],
            show_progress_on=[self._make],
            **self._turn,
        )

    def _wire_videos(self) -> None:
        controls = self._controls
        for tab, is_video in ((self._picture_tab, False), (self._video_tab, True)):
            tab.select(
                _sides(is_video),
                None,
                [self._picture_side, self._video_side, self._problem],
                show_progress="hidden",
                queue=False,
                api_visibility="private",
            )
        self._film.click(
            self._answers.film,
            [self._video, *controls.asking(), *controls.drawing(), self._mode],
            [self._problem, self._drawn_video, self._video_files],
            show_progress_on=[self._drawn_video],
            **self._turn,
        )


def _map(name: str) -> tuple[gr.Image, gr.HTML]:
    """Lay out a map over its photograph and the line below it."""
    image = gr.Image(
        format="png", interactive=False, show_label=False, buttons=["fullscreen"], elem_id=name,
        type="numpy",
    )  # fmt: skip
    return image, gr.HTML(elem_id=f"{name}_caption")


def _path(payload: Any) -> str | None:
    """Return the path of an upload, which Gradio has found among its own uploads."""
    return payload.path if payload is not None else None


def _sides(is_video: bool) -> Any:
    def sides() -> list[Any]:
        return [gr.Column(visible=not is_video), gr.Column(visible=is_video), trouble(None)]

    return sides
