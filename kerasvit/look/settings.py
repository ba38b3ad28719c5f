"""What is drawn and how, checked as far as it can be without the model."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.look.checking import (
    PICTURE_FORMATS,
    USUAL_MASS,
    VIDEO_FORMATS,
    check_values,
)
from kerasvit.look.first import BESIDE, LEAD_OPTIONS, LEADS
from kerasvit.look.spelling import PYTHON, Spelling
from kerasvit.look.uses import check_uses
from kerasvit.render import colourise
from kerasvit.saliency import METHODS
from kerasvit.saliency.maps import Heads, Query
from kerasvit.saliency.targets import Target

_DEFAULT = {"picture": ("png", "npz"), "video": ("mp4", "npz")}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is drawn of pictures and videos, and how.

    Args:
        method: one or several of `kerasvit.saliency.METHODS`; several are drawn side by side. None:
            of a picture what speaks for the class, and beside it the attention, class attention as
            the mean over its blocks; the attention alone of a model without classes, of a video, or
            where `layer`, `heads`, `query` or `stage` is given.
        formats: one or several. Of a picture `"png"`, `"pdf"` and `"svg"`, a sheet and overlays,
            `"npz"`, the arrays,
            `"html"`, a viewer of every score, `"gif"`, the way through the layers; of a video
            `"mp4"`, `"gif"` and `"npz"`. With `"mp4"` among them, an animated GIF, PNG or WebP
            counts as a video. None: PNG and NPZ, and MP4 and NPZ of a video.
        target: the class that methods by class explain: its number or name, `"top1"`, or
            `"feature"`. None: the most probable class, or the feature of a model without classes.
        query: whose attention is shown, see `kerasvit.saliency.query_tokens`.
        layer: the block that methods of one block look at, see `kerasvit.saliency.select_block`;
            `"all"`, for the attention of every block. None: all blocks of class attention, or the
            last block of self-attention.
        heads: how heads are combined, see `kerasvit.saliency.fuse_heads`.
        stage: `"sa"` or `"ca"`, self- or class attention; None: class attention where there is any.
        options: the methods' own options, by method: `{"rollout": {"discard": 0.9}}`.
        resize: length in pixels of the shorter side that the model sees; None for that of its
            training.
        fit: how a picture becomes the model's input: `"aspect"`, the whole picture; `"crop"`, the
            evaluation's; `"exact"`, its own pixels.
        precision: what layers compute in, `"float32"`, `"bfloat16"` or `"float16"`; None for
            what the model says.
        frame: which picture of an animation or page of a TIFF is drawn, from 0; None: the first.
        max_pixels: largest width x height that is decoded; None for the default.
        style: how a map lies over its photograph or frame, see `kerasvit.render.overlay`:
            `"fade"`, `"blend"`, `"modulate"` or `"heatmap"`.
        mass: instead of a style, the share of a map's mass whose patches are shown, in (0, 1].
        colormap: of Matplotlib; the default's middle stands out from most photographs.
        dpi: dots an inch of sheets and overlays, in [30, 1200]; None for 250. A sheet is 7.04
            inches wide, so it has so many pixels more or fewer; an overlay keeps the pixels of its
            photograph, and is printed so much smaller or larger.
        title: of sheets and viewers; None for the file's name, `""` for none.
        mode: how a video is drawn: `"side-by-side"`, the frame and its map; `"overlay"`, the map
            over the frame; `"mask"`, the patches with most of the mass, the rest dark. None: a
            mask where `mass` is given, else side by side.
        spelling: how messages name these options.

    Raises:
        UsageError: if a value is unknown or out of range, or two contradict each other.
    """

    method: str | Sequence[str] | None = None
    formats: str | Sequence[str] | None = None
    target: Target = None
    query: Query = "class"
    layer: int | str | None = None
    heads: Heads = "mean"
    stage: str | None = None
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    resize: int | None = None
    fit: str = "aspect"
    precision: str | None = None
    frame: int | None = None
    max_pixels: int | None = None
    style: str = "fade"
    mass: float | None = None
    colormap: str = "inferno"
    dpi: float | None = None
    title: str | None = None
    mode: str | None = None
    spelling: Spelling = dataclasses.field(default=PYTHON, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_values(self)
        check_uses(self)
        colourise(0.5, self.colormap)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods' names; of a choice that is left to the model, those it is made among."""
        if self.method is not None:
            return _names(self.method)
        return (LEADS[0], BESIDE) if self.is_open else (BESIDE,)

    @property
    def is_open(self) -> bool:
        """Whether the methods depend on the model, see `kerasvit.look.first.first_methods`."""
        shown = (self.layer, self.heads, self.query, self.stage)
        return self.method is None and shown == (None, "mean", "class", None)

    @property
    def video_methods(self) -> tuple[str, ...]:
        """The methods of a video: its attention, which costs no gradients, if none is named."""
        if not self.is_open:
            return self.methods
        by_class = self.target is not None or LEADS[0] in self.options
        return (LEADS[0],) if by_class else (BESIDE,)

    @property
    def has_one_overlay(self) -> bool:
        """Whether the first map alone is laid over the photograph in a file of its own."""
        return self.is_open or len(self.methods) == 1

    @property
    def chosen_formats(self) -> tuple[str, ...]:
        """The formats that are asked for; none where each kind of input has its own."""
        return () if self.formats is None else _names(self.formats)

    @property
    def drawn_style(self) -> str:
        """The style of overlays: `"mask"` where a share of the mass is shown."""
        return self.style if self.mass is None else "mask"

    @property
    def drawn_mass(self) -> float:
        """The share of the mass that masks show."""
        return USUAL_MASS if self.mass is None else self.mass

    @property
    def video_mode(self) -> str:
        """How videos are drawn."""
        return self.mode or ("side-by-side" if self.mass is None else "mask")

    def formats_of(self, kind: str) -> tuple[str, ...]:
        """Return the formats for a `"picture"` or a `"video"`.

        Raises:
            UsageError: if none of those asked for suits it.
        """
        if self.formats is None:
            return _DEFAULT[kind]
        known = PICTURE_FORMATS if kind == "picture" else VIDEO_FORMATS
        formats = tuple(name for name in known if name in self.chosen_formats)
        if not formats:
            raise UsageError(
                f"A {kind} is written as {', '.join(known)}. Received: "
                f"{self.spelling.given('formats', self.chosen_formats)}. Choose one of these"
            )
        # The maps of a video are written beside a video.
        return ("mp4", *formats) if kind == "video" and formats == ("npz",) else formats

    def arguments(self, method: str, target: Target = None) -> dict[str, Any]:
        """Return what `kerasvit.saliency.explain` is given for a method.

        Args:
            method: one of `methods`.
            target: the class, where the run's own is `"top1"` or None.
        """
        takes = METHODS[method].takes
        arguments = {"query": self.query, "stage": self.stage, "target": target}
        if "layer" in takes:
            arguments["layer"] = None if self.layer == "all" else self.layer
        if "heads" in takes:
            arguments["heads"] = self.heads
        usual = LEAD_OPTIONS.get(method, {}) if self.is_open else {}
        return {**arguments, **usual, **self.options.get(method, {})}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for JSON."""
        return {
            "methods": None if self.is_open else self.methods,
            "formats": self.chosen_formats or None,
            "target": self.target,
            "query": self.query,
            "layer": self.layer,
            "head": self.heads,
            "stage": self.stage,
            "options": {method: dict(options) for method, options in self.options.items()},
            "resize": self.resize,
            "fit": self.fit,
            **({} if self.precision is None else {"precision": self.precision}),
            "frame": self.frame,
            "max_pixels": self.max_pixels,
            "style": self.drawn_style,
            "mass": self.drawn_mass,
            "colormap": self.colormap,
            "dpi": self.dpi,
            "title": self.title,
            "mode": self.video_mode,
        }


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
