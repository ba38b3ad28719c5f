"""The widgets with which a visitor chooses, and what their values mean."""

import dataclasses
from typing import Any, ClassVar

import gradio as gr

from kerasvit.app.asked import Asked, Drawing
from kerasvit.app.choices import Choices
from kerasvit.render import STYLES
from kerasvit.saliency import METHODS

LEADING, MOST_PROBABLE = "", -1
COLORMAPS = ("inferno", "cividis", "viridis", "magma", "turbo", "gray")
_FUSIONS = [("mean of all", "mean"), ("max", "max"), ("min", "min")]
_STYLES = {
    "fade": "colours where the map is high",
    "blend": "colours over the whole",
    "modulate": "grey photograph times the map",
    "heatmap": "the map alone",
    "mask": "the patches with 60 % of the mass",
}


@dataclasses.dataclass
class Controls:
    """The widgets, laid out where it is made.

    Args:
        models: names of the models.
        choices: of the first one.
    """

    models: list[str]
    choices: Choices

    # What `asking` returns, by name.
    ASKING: ClassVar[tuple[str, ...]] = (
        *("point", "model", "method", "target", "block", "head", "query", "resize"),
        *("other_model", "other_method"),
    )

    def lay_out(self) -> None:
        """Make the widgets within the present column."""
        self.point = gr.State((0.5, 0.5))
        self.model = gr.Dropdown(
            self.models, value=self.models[0], label="Model", filterable=len(self.models) > 8,
            elem_id="model",
        )  # fmt: skip
        method, target, block, head, query = choice_values(self.choices)
        self.method = gr.Dropdown(label="Method", elem_id="method", **method)
        self.target = gr.Dropdown(label="Class that is explained", elem_id="target", **target)
        self.block = gr.Slider(label="Block", elem_id="block", step=1, buttons=[], **block)
        self.head = gr.Radio(label="Head", elem_id="head", **head)
        self.query = gr.Radio(label="Attention from", elem_id="query", **query)
        self._lay_out_comparison()
        self._lay_out_drawing()

    def _lay_out_comparison(self) -> None:
        with gr.Accordion("Compare", open=False, elem_id="compare"):
            nothing = ("nothing", LEADING)
            self.other_model = gr.Dropdown(
                [nothing, *self.models], value=LEADING, label="with another model",
                elem_id="other_model",
            )  # fmt: skip
            self.other_method = gr.Dropdown(
                [nothing, *METHODS], value=LEADING, label="with another method",
                elem_id="other_method",
            )  # fmt: skip

    def _lay_out_drawing(self) -> None:
        with gr.Accordion("Drawing", open=False, elem_id="drawing"):
            self.opacity = gr.Slider(0, 1, 0.7, step=0.05, label="Opacity", elem_id="opacity")
            self.clip = gr.Checkbox(
                True, label="clip patches that outshine the rest", elem_id="clip"
            )
            self.style = gr.Dropdown(
                [(f"{name}: {_STYLES.get(name, name)}", name) for name in STYLES],
                value="fade", label="Style", elem_id="style",
            )  # fmt: skip
            self.colormap = gr.Dropdown(
                list(COLORMAPS), value="inferno", label="Colours", elem_id="colormap"
            )
            self.resize = gr.Slider(
                label="Shorter side that the model sees, in pixels", elem_id="resize", buttons=[],
                **side_value(self.choices),
            )  # fmt: skip

    def choice_widgets(self) -> list[Any]:
        """Return the widgets that `choice_values` is for."""
        return [self.method, self.target, self.block, self.head, self.query]

    def asking(self) -> list[Any]:
        """Return the widgets that change what is computed."""
        return [getattr(self, name) for name in self.ASKING]

    def drawing(self) -> list[Any]:
        """Return the widgets that change how it is drawn."""
        return [self.style, self.opacity, self.clip, self.colormap]


def choice_values(choices: Choices, method: str = LEADING) -> list[dict[str, Any]]:
    """Return the properties of `Controls.choice_widgets` for a model.

    Args:
        choices: of the model.
        method: what was chosen before; kept where it means something for the model.
    """
    method = method if method in choices.methods else LEADING
    labels = [(name.replace("_", " "), name) for name in choices.methods]
    classes = [("the most probable one", MOST_PROBABLE)]
    classes += [(name, number) for number, name in enumerate(choices.classes)]
    heads = [*_FUSIONS, *((str(number), number) for number in range(choices.num_heads))]
    fields: list[dict[str, Any]] = [
        {"choices": [("automatic", LEADING), *labels], "value": method},
        {"choices": classes, "value": MOST_PROBABLE},
        {"minimum": 0, "maximum": len(choices.blocks) - 1, "value": choices.usual},
        {"choices": heads, "value": "mean"},
        {"choices": list(choices.queries), "value": choices.queries[0][1]},
    ]
    shown = shown_values(choices, method, choices.usual)
    return [{**own, **more} for own, more in zip(fields, shown, strict=True)]


def shown_values(choices: Choices, method: str, block: int) -> list[dict[str, Any]]:
    """Return which of `Controls.choice_widgets` concern a method, and what they say."""
    takes = ("target",) if method == LEADING else METHODS[method].takes
    about = METHODS[method].about if method else "what speaks for the class, or the attention"
    title = choices.block_titles()[min(block, len(choices.blocks) - 1)]
    return [
        {"info": about},
        {"visible": "target" in takes and bool(choices.classes)},
        {"visible": "layer" in takes, "info": title},
        {"visible": "heads" in takes},
        {"visible": "query" in takes},
    ]


def side_value(choices: Choices) -> dict[str, Any]:
    """Return the properties of the slider of sizes."""
    side, step = choices.side, choices.step
    return {"minimum": side, "maximum": 2 * side // step * step, "step": step, "value": side}


def read_asked(choices: Choices, values: list[Any]) -> Asked:
    """Return what the values of `Controls.asking` ask for, without a comparison.

    Args:
        choices: of the chosen model.
        values: in order.
    """
    point, model, method, target, block, head, query, resize, *_ = values
    return Asked(
        model,
        method or None,
        None if target in (None, MOST_PROBABLE) else target,
        choices.block_at(int(block)),
        head,
        query,
        (float(point[0]), float(point[1])),
        None if resize == choices.side else int(resize),
    )


def read_compared(asked: Asked, choices: Choices, values: list[Any]) -> Asked | None:
    """Return what is drawn beside it, or None.

    What the other model or method has no use for is left to it.

    Args:
        asked: what is drawn first.
        choices: of the other model.
        values: of `Controls.asking`.
    """
    other_model, other_method = values[-2:]
    if not (other_model or other_method):
        return None
    other = dataclasses.replace(
        asked, model=other_model or asked.model, method=other_method or asked.method
    )
    if other.model == asked.model:
        return other
    return dataclasses.replace(
        other,
        block=other.block if other.block in choices.blocks else None,
        head=other.head if isinstance(other.head, str) or other.head < choices.num_heads else 0,
        query=other.query
        if other.query in dict(choices.queries).values()
        else choices.queries[0][1],
        target=other.target if (other.target or 0) < len(choices.classes) else None,
        resize=None,
    )


def read_drawing(values: list[Any]) -> Drawing:
    """Return what the values of `Controls.drawing` mean."""
    style, opacity, clip, colormap = values
    return Drawing(style, float(opacity), bool(clip), colormap)
