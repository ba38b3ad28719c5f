"""What `kerasvit saliency` was asked for, checked as far as it can be without the model."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasvit.cli.options import parse_method_options, parse_number, parse_query, split_names
from kerasvit.errors import UsageError

PICTURE_FORMATS = ("png", "npz", "html", "gif")
VIDEO_FORMATS = ("mp4", "gif", "npz")
FORMATS = ("png", "npz", "html", "gif", "mp4")
_DEFAULT = {"picture": ("png", "npz"), "video": ("mp4", "npz")}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of one run.

    Args:
        methods: of `kerasvit.saliency.METHODS`.
        formats: of `FORMATS`; None for the default of each kind of input.
        target: the class to explain, or None.
        query: whose attention is shown, see `kerasvit.saliency.query_tokens`.
        layer: a block, `"all"`, or None.
        head: how heads are combined, see `kerasvit.saliency.fuse_heads`.
        stage: `"sa"`, `"ca"` or None.
        options: the methods' own options, by method.
        resize: length in pixels of the shorter side that the model sees, or None.
        fit: how a picture becomes the model's input.
        style: how maps are drawn, see `kerasvit.render.overlay`.
        mass: the share of the mass that a mask shows.
        colormap: of Matplotlib.
        mode: how videos are drawn, see `kerasvit.cli.videos.draw_video`.
    """

    methods: tuple[str, ...]
    formats: tuple[str, ...] | None
    target: Any
    query: Any
    layer: Any
    head: Any
    stage: str | None
    options: Mapping[str, Mapping[str, Any]]
    resize: int | None
    fit: str
    style: str
    mass: float
    colormap: str
    mode: str

    @classmethod
    def read(cls, options: argparse.Namespace) -> "Settings":
        """Check the options of the command line.

        Raises:
            UsageError: if a name is unknown, or options contradict each other.
        """
        from kerasvit.saliency import METHODS
        from kerasvit.saliency.explain import FUSE_HEADS, LOOK_AT_ONE_BLOCK

        methods = split_names(options.method, "method", tuple(METHODS))
        formats = options.format and split_names(options.format, "format", FORMATS)
        _require_user("--layer", options.layer, methods, LOOK_AT_ONE_BLOCK)
        _require_user("--head", options.head, methods, FUSE_HEADS)
        if options.resize is not None and options.fit != "aspect":
            raise UsageError(
                "Only a picture that keeps its aspect ratio can be resized. "
                f"Received: --resize {options.resize} with --fit {options.fit}. Leave one out"
            )
        masked = options.mass is not None
        return cls(
            methods=methods,
            formats=formats or None,
            target=options.target,
            query=parse_query(options.query),
            layer=parse_number(options.layer),
            head=parse_number(options.head or "mean"),
            stage=options.stage,
            options=parse_method_options(options.option, methods),
            resize=options.resize,
            fit=options.fit,
            style="mask" if masked else options.style,
            mass=_share(options.mass) if masked else 0.6,
            colormap=_colormap(options.colormap),
            mode=options.mode or ("mask" if masked else "side-by-side"),
        )

    def formats_of(self, kind: str) -> tuple[str, ...]:
        """Return the formats for a `"picture"` or a `"video"`.

        Raises:
            UsageError: if none of those asked for suits it.
        """
        if self.formats is None:
            return _DEFAULT[kind]
        known = PICTURE_FORMATS if kind == "picture" else VIDEO_FORMATS
        found = tuple(name for name in self.formats if name in known)
        if not found:
            raise UsageError(
                f"A {kind} is written as {', '.join(known)}. "
                f"Received: --format {','.join(self.formats)}. Choose one of these"
            )
        # The maps of a video are written beside a video.
        return ("mp4", *found) if kind == "video" and found == ("npz",) else found

    def arguments(self, method: str, target: Any = None) -> dict[str, Any]:
        """Return what `kerasvit.saliency.explain` is given for a method.

        Args:
            method: one of `methods`.
            target: the class, where the run's own is `"top1"` or None.
        """
        from kerasvit.saliency.explain import FUSE_HEADS, LOOK_AT_ONE_BLOCK

        found = {"query": self.query, "stage": self.stage, "target": target}
        if method in LOOK_AT_ONE_BLOCK:
            found["layer"] = None if self.layer == "all" else self.layer
        if method in FUSE_HEADS:
            found["heads"] = self.head
        return {**found, **self.options.get(method, {})}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return dataclasses.asdict(self)


def _require_user(name: str, value: Any, methods: tuple[str, ...], users: tuple[str, ...]) -> None:
    if value is not None and not set(methods) & set(users):
        raise UsageError(
            f"{name} concerns the methods {', '.join(users)} alone. "
            f"Received: {name} {value} with --method {','.join(methods)}. Leave it out"
        )


def _share(mass: float) -> float:
    if not 0 < mass <= 1:
        raise UsageError(
            f"The mass is a share above 0 and up to 1. Received: --mass {mass}. Try 0.6"
        )
    return mass


def _colormap(name: str) -> str:
    from kerasvit.render import colourise

    colourise(0.5, name)
    return name
