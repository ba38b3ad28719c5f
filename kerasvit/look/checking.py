"""The values of settings, each on its own and against one another, without a model."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.models.opening.precision import PRECISIONS
from kerasvit.render import STYLES
from kerasvit.render.figures import FIGURE_FORMATS, check_dpi
from kerasvit.saliency import METHODS

PICTURE_FORMATS = (*FIGURE_FORMATS, "npz", "html", "gif")
VIDEO_FORMATS = ("mp4", "gif", "npz")
FORMATS = (*PICTURE_FORMATS, "mp4")
# A mask is asked for by the share of its mass.
DRAWN_STYLES = tuple(style for style in STYLES if style != "mask")
FITS = ("aspect", "crop", "exact")
MODES = ("side-by-side", "overlay", "mask")
USUAL_MASS = 0.6


def check_values(settings: Any) -> None:
    """Raise `UsageError` if a setting is unknown, out of range, or against another.

    Args:
        settings: `kerasvit.look.Settings`, which have themselves checked here.
    """
    _check_names("method", settings.methods, tuple(METHODS))
    if settings.formats is not None:
        _check_names("format", settings.chosen_formats, FORMATS)
    _check_names("fit", (settings.fit,), FITS)
    if settings.precision is not None:
        _check_names("precision", (settings.precision,), tuple(PRECISIONS))
    _check_names("style", (settings.style,), DRAWN_STYLES)
    _check_names("mode", (settings.video_mode,), MODES)
    for name, lowest in (("resize", 1), ("max_pixels", 1), ("frame", 0)):
        _check_lowest(settings, name, lowest)
    if settings.dpi is not None:
        check_dpi(settings.dpi, settings.spelling.given("dpi", settings.dpi))
    _check_drawing(settings)
    _check_options(settings.options, settings.methods)


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no such {what}. Received: {', '.join(map(repr, unknown)) or 'none'}. "
            f"Choose among {', '.join(known)}"
        )


def _check_lowest(settings: Any, name: str, lowest: int) -> None:
    value = getattr(settings, name)
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if value is not None and not (is_number and value >= lowest):
        spelling = settings.spelling
        raise UsageError(
            f"{spelling.name(name)} is at least {lowest}, a whole number. "
            f"Received: {spelling.given(name, value)}."
        )


def _check_drawing(settings: Any) -> None:
    given, mass = settings.spelling.given, settings.mass
    if not isinstance(settings.title, str | None):
        raise UsageError(f"A title is text. Received: {given('title', settings.title)}.")
    if settings.resize is not None and settings.fit != "aspect":
        raise UsageError(
            "Only a picture that keeps its aspect ratio can be resized. Received: "
            f"{given('resize', settings.resize)} with {given('fit', settings.fit)}. Leave one out"
        )
    if mass is not None and not (isinstance(mass, int | float) and 0 < mass <= 1):
        raise UsageError(
            "The mass is a share above 0 and up to 1. "
            f"Received: {given('mass', mass)}. Try {USUAL_MASS}"
        )
    if mass is not None and settings.style != "fade":
        raise UsageError(
            "A map is drawn in a style, or as the patches with a share of its mass. Received: "
            f"{given('style', settings.style)} with {given('mass', mass)}. Leave one out"
        )
    if settings.heads in (None, "all"):
        raise UsageError(
            "A picture shows one map. Received: every head on its own. Choose one head, or "
            f"combine them: {given('heads', 'mean')}"
        )


def _check_options(options: Mapping[str, Mapping[str, Any]], methods: Sequence[str]) -> None:
    unasked = [method for method in options if method not in methods]
    if unasked:
        raise UsageError(
            f"Options belong to a method that is asked for ({', '.join(methods)}). "
            f"Received: options of {', '.join(unasked)}."
        )
    for method, own in options.items():
        METHODS[method].options.read(own)
