"""A result about features as files: its sheet, its arrays, and plain values."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvit.features import FeaturePCA, Matches, PatchFeatures
from kerasvit.features.patches import Patch
from kerasvit.features.records import match_arrays, match_record, pca_arrays, similarity_arrays
from kerasvit.files import atomic_path, write_npz
from kerasvit.render.drawing import UNITS_AN_INCH, Drawing
from kerasvit.render.features.matches import match_drawing
from kerasvit.render.features.page import write_feature_page
from kerasvit.render.features.sheets import pca_drawing, similarity_drawing
from kerasvit.render.figures import write_figure


@dataclasses.dataclass(frozen=True)
class FeatureResult:
    """What was found of the features of pictures.

    Args:
        draw: makes the sheet; takes `title`, `lines` and `resolution`.
        arrays: for an NPZ.
        record: for JSON; empty where there is none.
        page: writes an HTML page; takes what `write_feature_page` takes beside the pictures.
    """

    draw: Callable[..., Drawing]
    arrays: Mapping[str, np.ndarray]
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    page: Callable[..., None] | None = None

    @classmethod
    def of_pca(
        cls, pictures: Sequence[PatchFeatures], components: FeaturePCA, label: str
    ) -> "FeatureResult":
        """Return the components of pictures, by a model that is called `label`."""

        def draw(**look: Any) -> Drawing:
            return pca_drawing(pictures, components, **look)

        return cls(draw, pca_arrays(pictures, components, label))

    @classmethod
    def of_similarity(
        cls, pictures: Sequence[PatchFeatures], maps: Sequence[np.ndarray], patch: Patch, label: str
    ) -> "FeatureResult":
        """Return how alike patches are to one of the first picture."""

        def draw(**look: Any) -> Drawing:
            return similarity_drawing(pictures, maps, patch, **look)

        def page(path: pathlib.Path, **look: Any) -> None:
            write_feature_page(path, pictures, patch=patch, **look)

        return cls(draw, similarity_arrays(pictures, maps, patch, 0, label), page=page)

    @classmethod
    def of_matches(
        cls, pictures: Sequence[PatchFeatures], matches: Matches, label: str
    ) -> "FeatureResult":
        """Return the pairs of patches of two pictures."""
        first, second = pictures

        def draw(**look: Any) -> Drawing:
            return match_drawing(first, second, matches, **look)

        arrays = match_arrays(pictures, matches, label)
        return cls(draw, arrays, match_record(pictures, matches, label))

    def write(
        self,
        files: Mapping[str, pathlib.Path],
        *,
        title: str = "",
        lines: Sequence[str] = (),
        dpi: float | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the files.

        Args:
            files: by what they hold: `"npz"`, `"json"`, `"html"`, or a figure's format.
            title: of the sheet.
            lines: below it.
            dpi: dots an inch of the sheet; None for 250.
            overwrite: whether files may be replaced.

        Raises:
            OutputError: if a file cannot be written, or exists and `overwrite` is false.
        """
        dpi = UNITS_AN_INCH if dpi is None else dpi
        drawing: Drawing | None = None
        for kind, file in files.items():
            if kind == "npz":
                write_npz(file, self.arrays, overwrite)
            elif kind == "json":
                text = json.dumps(self.record, indent=1, ensure_ascii=False) + "\n"
                with atomic_path(file, overwrite) as temporary:
                    temporary.write_text(text, encoding="utf-8")
            elif kind == "html":
                assert self.page is not None
                self.page(file, title=title, note=" · ".join(lines), overwrite=overwrite)
            else:
                resolution = dpi / UNITS_AN_INCH
                drawing = drawing or self.draw(title=title, lines=lines, resolution=resolution)
                write_figure(file, drawing, kind, dpi=dpi, title=title, overwrite=overwrite)
