"""What a visitor asks for, and the settings of `kerasvit saliency` that it means."""

import dataclasses
from typing import Any

from kerasvit.layout import BlockKey
from kerasvit.look import Settings
from kerasvit.look.settings import USUAL_MASS
from kerasvit.saliency import METHODS
from kerasvit.saliency.maps import Query
from kerasvit.saliency.request import stages_of

PATCH = "patch"


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How a map is laid over the photograph.

    Args:
        style: see `kerasvit.render.overlay`; `"mask"` shows the patches with most of the mass.
        opacity: in [0, 1], how much the map covers the photograph where it is highest.
        clip: whether patches that outshine the rest are cut to the rest.
        colormap: of Matplotlib.
    """

    style: str = "fade"
    opacity: float = 0.7
    clip: bool = True
    colormap: str = "inferno"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a map is made of.

    Args:
        model: its name on the page.
        method: None for the one that leads, see `kerasvit.look.Settings`.
        target: the class that is explained: its number; None for the most probable.
        block: key of the block that is looked at; None for the usual one.
        head: how heads are combined, or the number of one.
        query: who asks, `"patch"` for the patch at `point`.
        point: `(y, x)` as shares of the picture's height and width.
        resize: length of the shorter side that the model sees; None for that of its training.
    """

    model: str
    method: str | None = None
    target: int | None = None
    block: str | None = None
    head: str | int = "mean"
    query: str = "class"
    point: tuple[float, float] = (0.5, 0.5)
    resize: int | None = None

    @property
    def takes(self) -> tuple[str, ...]:
        """Which of the shared arguments concern the method; the leading one explains a class."""
        return ("target",) if self.method is None else METHODS[self.method].takes

    def settings(
        self, model: Any, query: Query | None = None, drawing: Drawing | None = None
    ) -> Settings:
        """Return the settings that the command would be given.

        What does not concern the method is left out.

        Args:
            model: a kerasvit model.
            query: in place of `"patch"`, `(row, column)`.
            drawing: how the map is drawn.

        Raises:
            UsageError: if a value is unknown, or two contradict each other.
        """
        drawing = drawing or Drawing()
        takes = self.takes
        asks: Query = self.query if query is None else query
        fields: dict[str, Any] = {"target": self.target, "heads": self.head, "query": asks}
        has_stages = len(stages_of(model)) > 1
        if self.block is not None:
            key = BlockKey.parse(self.block)
            fields |= {"layer": key.depth, "stage": key.stage if has_stages else None}
        elif asks != "class" and has_stages:
            # The class token alone asks in class attention.
            fields["stage"] = "sa"
        if fields.get("stage") == "sa" and asks not in model.token_layout().prefix:
            # No class token has come to CaiT's patches yet.
            fields["query"] = "patches" if asks == "class" else asks
        fields = {name: value for name, value in fields.items() if name in takes}
        is_mask = drawing.style == "mask"
        return Settings(
            method=self.method,
            resize=self.resize,
            style="fade" if is_mask else drawing.style,
            mass=USUAL_MASS if is_mask else None,
            colormap=drawing.colormap,
            **fields,
        )
