"""Two pictures side by side: which patches are alike."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from kerasvit.app.answers import Answers


def lay_out_comparison(
    answers: Answers, model: Any, path_of: Callable[[Any], Any], turn: Mapping[str, Any]
) -> None:
    """Lay out and wire the part of the page that compares two pictures, closed at first.

    Args:
        answers: computes what is shown.
        model: the widget that names the model.
        path_of: how an upload becomes a path.
        turn: how its event waits in line.
    """
    with gr.Accordion("Two pictures: which patches are alike", open=False, elem_id="comparison"):
        with gr.Row():
            pictures = [_picture(name) for name in ("first", "second")]
        for picture in pictures:
            # The command's reader decodes the very bytes that came; no other decoder does.
            picture.preprocess = path_of
        button = gr.Button("Compare", variant="primary", elem_id="compare_two")
        problem = gr.HTML(visible=False, elem_id="comparison_problem")
        alike = gr.HTML(elem_id="alike")
    button.click(
        answers.compare,
        [*pictures, model],
        [problem, alike],
        show_progress_on=[alike],
        **turn,
    )


def _picture(name: str) -> Any:
    return gr.Image(
        type="filepath", sources=["upload", "clipboard"], height=200, show_label=False,
        buttons=[], elem_id=f"{name}_picture",
    )  # fmt: skip
