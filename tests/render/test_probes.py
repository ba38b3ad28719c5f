import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import OutputError
from kerasvit.images.geometry import Geometry
from kerasvit.render.colour import colourise
from kerasvit.render.probes import (
    feature_sheet,
    filter_sheet,
    matrix_plot,
    measure_plot,
    similarity_sheet,
)
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, cell_size

KEYS = [f"sa_ffn_block_{index:02d}_att" for index in range(3)]


def test_plots_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "plot.png"
    measure_plot(path, {key: np.arange(4.0) for key in KEYS}, "pixels", "a title")
    with Image.open(path) as plot:
        assert plot.format == "PNG"
        assert plot.width > plot.height
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        matrix_plot(path, np.eye(3), KEYS, KEYS, ("rows", "columns"), "a title")
    assert path.read_bytes() == before
    matrix_plot(path, np.eye(3), KEYS, KEYS, ("rows", "columns"), "a title", overwrite=True)
    with Image.open(path) as plot:
        colours = {colour for _, colour in plot.convert("RGB").getcolors(1 << 24)}
    assert {tuple(end) for end in colourise(np.array([0, 1])).tolist()} <= colours


def test_each_patch_shows_its_own_map():
    values = np.zeros((2, 3, 2, 3))
    for row in range(2):
        for column in range(3):
            values[row, column, row, column] = 1
    page = np.asarray(similarity_sheet(values)).astype(int)
    yellow = page[..., 0] - page[..., 2] > 60
    height, width = cell_size(3, 3 / 2)
    for column in range(3):
        left = MARGIN + column * (width + GAP)
        panel = yellow[: MARGIN + 100 + height, left : left + width]
        # The first row of patches: the hot one is in the upper half, in its own column.
        found = np.argwhere(panel)[:, 1].mean() / width
        assert found == pytest.approx((column + 0.5) / 3, abs=0.02)


@pytest.mark.parametrize("count", [1, 7, 28])
def test_filters_are_grey_where_they_are_zero(count):
    filters = np.zeros((count, 4, 4, 3))
    filters[:, 0, 0] = -2
    filters[:, 3, 3] = 2
    colours = dict.fromkeys(np.asarray(filter_sheet(filters)).reshape(-1, 3)[:, 0].tolist())
    assert {0, 128, 255} <= set(colours)


def test_features_lie_on_their_photographs():
    geometry = Geometry((60, 100), (0, 20, 60, 80), (24, 24))
    colours = np.zeros((2, 3, 3, 3))
    colours[:, 0, 2] = [1, 0, 0]
    image = np.full((60, 100, 3), 128, np.uint8)
    page = feature_sheet([image] * 2, [geometry] * 2, colours, np.ones((2, 3, 3)), "title")
    assert page.width == WIDTH
    pixels = np.asarray(page)
    red = (pixels == [255, 0, 0]).all(axis=-1)
    _, width = cell_size(3, 100 / 60)
    columns = (np.flatnonzero(red.any(axis=0)) - MARGIN - width - GAP) / width
    # The last third of the box, which is from 0.2 to 0.8.
    assert columns.min() == pytest.approx(0.6, abs=0.01)
    assert columns.max() == pytest.approx(0.8, abs=0.01)
