"""Which setting changes which output; one that changes none of those asked for is refused."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.look.spelling import Spelling
from kerasvit.render.figures import FIGURE_FORMATS
from kerasvit.saliency.method import SHARED
from kerasvit.saliency.methods.table import METHODS, with_use_for


class Chosen(Protocol):
    """What is asked of `kerasvit.look.Settings`, which has itself checked here."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def layer(self) -> int | str | None:
        """The block that is looked at."""
        ...

    @property
    def spelling(self) -> Spelling:
        """How messages name the options."""
        ...

    @property
    def method(self) -> str | Sequence[str] | None:
        """What is asked for; None where the model decides."""
        ...

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are drawn."""
        ...

    @property
    def video_mode(self) -> str:
        """How a video is drawn."""
        ...

    def formats_of(self, kind: str) -> tuple[str, ...]:
        """Return the formats that suit an input."""
        ...


# What each output is called in a message.
OF_PICTURES = {
    "sheet": "PNG, PDF and SVG of pictures",
    "arrays": "NPZ of pictures",
    "viewer": "HTML of pictures",
    "layers": "GIF of pictures",
}
OF_VIDEOS = {
    "side-by-side": "videos side by side",
    "overlay": "videos as overlays",
    "mask": "videos as masks",
    "maps": "NPZ of videos",
}
OUTPUTS = {**OF_PICTURES, **OF_VIDEOS}
_BY_FORMAT = {
    **dict.fromkeys(FIGURE_FORMATS, "sheet"),
    "npz": "arrays",
    "html": "viewer",
    "gif": "layers",
}

# The outputs that a setting changes. Those of `SHARED` change what shows a method's map too, where
# the method takes them: everything but the viewer and the way through the layers.
USERS: dict[str, tuple[str, ...]] = {
    "target": (),
    "layer": (),
    "heads": ("layers",),
    "query": ("layers",),
    "stage": ("layers",),
    "resize": tuple(OUTPUTS),
    "fit": tuple(OF_PICTURES),
    "precision": tuple(OUTPUTS),
    "frame": tuple(OF_PICTURES),
    "max_pixels": tuple(OF_PICTURES),
    "style": ("sheet", "layers", "overlay"),
    "mass": ("sheet", "layers", "mask"),
    "colormap": ("sheet", "viewer", "layers", "side-by-side", "overlay"),
    "dpi": ("sheet",),
    "title": ("sheet", "viewer"),
    "mode": ("side-by-side", "overlay", "mask"),
}


def outputs_of(settings: Chosen, kinds: Iterable[str]) -> set[str]:
    """Return which of `OUTPUTS` are written.

    Args:
        settings: what is drawn.
        kinds: of the inputs: `"picture"` and `"video"`.

    Raises:
        UsageError: if none of the formats suits a kind.
    """
    outputs = set()
    for kind in kinds:
        for name in settings.formats_of(kind):
            if kind == "picture":
                outputs.add(_BY_FORMAT[name])
            else:
                outputs.add("maps" if name == "npz" else settings.video_mode)
    return outputs


def check_uses(settings: Chosen, outputs: Iterable[str] = tuple(OUTPUTS)) -> None:
    """See that every setting that differs from its default changes something, and can be had.

    Args:
        settings: what is drawn.
        outputs: what is written.

    Raises:
        UsageError: if one changes nothing, or a method that is asked for needs another backend.
    """
    for name in settings.methods if settings.method is not None else ():
        METHODS[name].check_backend()
    written = set(outputs)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name not in USERS or _is_default(value, field.default):
            continue
        methods = _methods_with_use(field.name, value)
        if set(methods) & set(settings.methods) or set(USERS[field.name]) & written:
            continue
        raise UsageError(_refusal(settings, field.name, value, methods, written))
    if settings.layer == "all" and not (written & set(OF_PICTURES)):
        raise UsageError(
            "A video shows one block. "
            f"Received: {settings.spelling.given('layer', 'all')}. Choose a block, or leave it out"
        )


def _is_default(value: Any, default: Any) -> bool:
    # Arrays, such as directions to explain, are compared element by element.
    return not isinstance(value, np.ndarray) and value == default


def _methods_with_use(option: str, value: Any) -> tuple[str, ...]:
    if option == "layer" and value == "all":
        return ("attention",)
    return with_use_for(option) if option in SHARED else ()


def _refusal(
    settings: Chosen, option: str, value: Any, methods: tuple[str, ...], written: set[str]
) -> str:
    users = [f"the methods {', '.join(methods)}"] if methods else []
    users += [words for name, words in OUTPUTS.items() if name in USERS[option]]
    given = settings.spelling.given
    made = [words for name, words in OUTPUTS.items() if name in written]
    against = given("method", settings.methods) if methods else ", ".join(made)
    return (
        f"{settings.spelling.name(option)} concerns {', '.join(users)} alone. "
        f"Received: {given(option, value)} with {against}. Leave it out"
    )
