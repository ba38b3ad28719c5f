"""What `kerasvit probe` measures and draws."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from kerasvit.cli.options import load_resized_model
from kerasvit.texts.wording import counted

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# So many pictures are drawn.
SHOWN = 8
_FILTERS = 28
_SINKS = {
    "sink_ratio": "most attended token\nover the median one",
    "prefix_share": "share of attention\non prefix tokens",
    "norm_outliers": "longest patch token\nover the median one",
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that could be read: where it is, what it shows, and what the model sees of it."""

    path: pathlib.Path
    image: Any
    prepared: Any


class Prober:
    """Measures and draws; each method takes the PNG to write and returns arrays by name.

    Args:
        model: a kerasvit model.
        label: what it is called.
        pictures: see `load_pictures`.
        options: of the command line.
    """

    def __init__(self, model: "ScoreModel", label: str, pictures: list[Picture], options) -> None:
        self.model, self.label, self.pictures = model, label, pictures
        self.options = options
        self.surveyed: dict[str, dict[str, Any]] | None = None

    def lacks(self, probe: str) -> bool:
        """Tell whether the model has nothing that a probe could show."""
        among_channels = self.model.attends_to_channels
        return (probe == "positions" and not self.model.has_position_table) or (
            probe in ("filters", "distance") and among_channels
        )

    def positions(self, file: pathlib.Path) -> dict[str, Any]:
        """How alike the position embeddings are."""
        from kerasvit.render import write_png
        from kerasvit.render.probes import similarity_sheet
        from kerasvit.saliency import position_similarity

        values = position_similarity(self.model)
        sheet = similarity_sheet(values, "cosine of the position embeddings", [self.label])
        write_png(file, sheet, self.options.overwrite)
        return {"positions": values.astype("float32")}

    def filters(self, file: pathlib.Path) -> dict[str, Any]:
        """The principal components of the filters that embed patches."""
        from kerasvit.render import write_png
        from kerasvit.render.probes import filter_sheet
        from kerasvit.saliency import patch_filters

        height, width = self.model.patch_size
        count = min(_FILTERS, self.model.hidden_dim, 3 * height * width)
        values = patch_filters(self.model, count)
        title = "principal components of the patch embedding"
        write_png(file, filter_sheet(values, title, [self.label]), self.options.overwrite)
        return {"filters": values.astype("float32")}

    def distance(self, file: pathlib.Path) -> dict[str, Any]:
        """How far each head looks."""
        return self._measure(file, "distance", "mean distance in pixels of the input")

    def entropy(self, file: pathlib.Path) -> dict[str, Any]:
        """How widely each head looks."""
        return self._measure(file, "entropy", "entropy in bits")

    def _measure(self, file: pathlib.Path, name: str, label: str) -> dict[str, Any]:
        from kerasvit.errors import UsageError
        from kerasvit.layout import channels_refused
        from kerasvit.render.probes import measure_plot
        from kerasvit.saliency.probes.survey import survey_attention

        if self.surveyed is None:
            self.surveyed = survey_attention(self.model, self._pixels(self.pictures))
        values = self.surveyed[name]
        if not values:
            raise UsageError(channels_refused(f"the probe {name!r}"))
        title = f"attention of {self.label}, {self._count()}"
        measure_plot(file, values, label, title, self.options.overwrite)
        return {f"{name}_{key}": heads for key, heads in values.items()}

    def sinks(self, file: pathlib.Path) -> dict[str, Any]:
        """Which tokens all attend to, and which patches are unusually long."""
        from kerasvit.render.probes import sinks_plot
        from kerasvit.saliency.probes.survey import survey_sinks

        values = survey_sinks(self.model, self._pixels(self.pictures))
        title = f"sinks of {self.label}, {self._count()}"
        drawn = {name: values[name] for name in _SINKS}
        sinks_plot(file, drawn, _SINKS, title, self.options.overwrite)
        return {
            f"{name}_{key}": numbers
            for name, by_block in values.items()
            for key, numbers in by_block.items()
        }

    def features(self, file: pathlib.Path) -> dict[str, Any]:
        """The features of the last block as colours, and the length of its tokens."""
        import numpy as np

        from kerasvit.render import write_png
        from kerasvit.render.probes import feature_sheet
        from kerasvit.saliency import block_outputs, pca_to_rgb, token_norms

        shown = self.pictures[:SHOWN]
        pixels = np.stack([picture.prepared.pixels for picture in shown])
        (tokens,) = block_outputs(self.model, pixels, batch_size=1).values()
        layout = self.model.token_layout(pixels.shape[1:])
        colours, norms = pca_to_rgb(tokens, layout), token_norms(tokens, layout)
        images = [picture.image for picture in shown]
        geometries = [picture.prepared.geometry for picture in shown]
        title = "features after the last self-attention block"
        sheet = feature_sheet(images, geometries, colours, norms, title, [self.label])
        write_png(file, sheet, self.options.overwrite)
        return {"features": colours.astype("float32"), "norms": norms}

    def similarity(self, file: pathlib.Path) -> dict[str, Any]:
        """How alike the layers are, of one model or of two."""
        from kerasvit.render.probes import matrix_plot
        from kerasvit.saliency.probes.survey import compare_layers, survey_features

        first = survey_features(self.model, self._pixels(self.pictures))
        second, label = first, self.label
        if self.options.against:
            second, label = self._other_features()
        values = compare_layers(first, second)
        title = f"linear CKA of the mean patch, {self._count()}"
        labels = (self.label, label)
        matrix_plot(file, values, list(first), list(second), labels, title, self.options.overwrite)
        return {"similarity": values}

    def _other_features(self) -> tuple[dict[str, Any], str]:
        """Return the features of the other model on the same pictures, read again for it."""
        from kerasvit.cli.options import open_picture
        from kerasvit.look.models import model_label
        from kerasvit.saliency.probes.survey import survey_features

        other = argparse.Namespace(**{**vars(self.options), "model": self.options.against})
        model, preprocessing = load_resized_model(other, attention="none")
        pixels = (
            preprocessing.evaluate(open_picture(other, picture.path)).pixels
            for picture in self.pictures
        )
        return survey_features(model, pixels), model_label(model, other.model)

    def _pixels(self, pictures: list[Picture]):
        return (picture.prepared.pixels for picture in pictures)

    def _count(self) -> str:
        return counted(len(self.pictures), "picture")
