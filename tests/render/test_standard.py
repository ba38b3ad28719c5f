import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.labels import block_title, heading, legend
from kerasvit.render.look import Look
from kerasvit.render.sheet import GAP, MARGIN, WIDTH, cell_size
from kerasvit.render.standard import legend_note, saliency_sheet, titled


def hot_maps(grid, heads=1, row=1, column=2):
    maps = np.zeros((heads, *grid), np.float32)
    maps[:, row, column] = 1
    return maps


def whole(size, grid):
    return Geometry(size, (0, 0, *size), (grid[0] * 16, grid[1] * 16))


def is_yellow(page):
    red, green, blue = (np.asarray(page).astype(int)[..., i] for i in range(3))
    return (red > 200) & (green > 180) & (blue < 120)


def cells(page, columns, aspect, from_bottom=True):
    """The bottom row of panels."""
    height, width = cell_size(columns, aspect)
    foot = legend("", 100).height + 20
    bottom = page.height - MARGIN - foot
    pixels = np.asarray(page)
    lefts = [MARGIN + i * (width + GAP) for i in range(columns)]
    return [pixels[bottom - height : bottom, left : left + width] for left in lefts]


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
@pytest.mark.parametrize("heads", [3, 4, 6, 16])
def test_the_hot_patch_of_every_head_is_in_row_1_column_2(grid, heads):
    size = (grid[0] * 30, grid[1] * 30)
    image = np.full((*size, 3), 90, np.uint8)
    maps = hot_maps(grid, heads)
    page = saliency_sheet(image, {"ca_ffn_block_00_att": maps}, maps.mean(0), whole(size, grid))
    columns = min(heads, 8)
    for cell in cells(page, columns, grid[1] / grid[0]):
        hot = np.argwhere(is_yellow(cell))
        found = (hot.mean(axis=0) + 0.5) / cell.shape[:2] * grid
        np.testing.assert_allclose(found, [1.5, 2.5], atol=0.05)
        assert len(hot) == pytest.approx(cell.shape[0] * cell.shape[1] / 15, rel=0.15)


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
@pytest.mark.parametrize("style", ["fade", "blend", "modulate", "heatmap"])
def test_the_first_row_shows_the_hot_patch_in_its_place(grid, style):
    size = (grid[0] * 30, grid[1] * 30)
    image = np.full((*size, 3), 235, np.uint8)
    maps = hot_maps(grid)
    page = saliency_sheet(
        image, {}, maps[0], whole(size, grid), style=style, interpolation="nearest"
    )
    _, heatmap, drawn = cells(page, 3, grid[1] / grid[0])
    for cell in (heatmap, drawn):
        hot = np.argwhere(cell[..., 0].astype(int) - cell[..., 2] > 60)
        found = (hot.mean(axis=0) + 0.5) / cell.shape[:2] * grid
        np.testing.assert_allclose(found, [1.5, 2.5], atol=0.05)


def test_a_cropped_map_lies_on_the_part_that_the_model_saw():
    image = np.full((100, 200, 3), 200, np.uint8)
    geometry = Geometry((100, 200), (0, 50, 100, 150), (224, 224))
    maps = hot_maps((4, 4), 3, 0, 0)
    page = saliency_sheet(image, {"ca_ffn_block_00_att": maps}, maps[0], geometry)
    for cell in cells(page, 3, 2):
        hot = np.argwhere(is_yellow(cell))
        found = (hot.mean(axis=0) + 0.5) / cell.shape[:2]
        # The first of four patches over the middle half of the width.
        np.testing.assert_allclose(found, [1 / 8, 1 / 4 + 1 / 16], atol=0.01)
        outside = np.r_[cell[:, : cell.shape[1] // 4 - 2], cell[:, -cell.shape[1] // 4 + 2 :]]
        assert (outside.max(axis=-1) == outside.min(axis=-1)).all()
        assert outside.max() < 200


def test_the_photograph_is_shown_as_it_is():
    image = np.zeros((90, 120, 3), np.uint8)
    image[:45, :60] = (250, 20, 10)
    page = saliency_sheet(image, {}, hot_maps((3, 4))[0], whole((90, 120), (3, 4)))
    photograph = cells(page, 3, 4 / 3)[0]
    height, width = photograph.shape[:2]
    assert (photograph[: height // 2 - 9, : width // 2 - 9] == (250, 20, 10)).all()
    assert (photograph[height // 2 + 9 :, width // 2 + 9 :] == 0).all()


def test_heads_share_one_scale_only_if_asked_to():
    size, grid = (60, 100), (3, 5)
    image = np.full((*size, 3), 90, np.uint8)
    maps = hot_maps(grid, 4) * np.array([1, 0.5, 0.1, 0])[:, None, None]
    lightness = {}
    for scale in ("panel", "shared"):
        page = saliency_sheet(
            image, {"sa_ffn_block_11_att": maps}, maps[0], whole(size, grid), scale=scale
        )
        lightness[scale] = [int(cell.max()) for cell in cells(page, 4, 5 / 3)]
    assert lightness["panel"][:3] == [lightness["panel"][0]] * 3
    assert lightness["shared"][0] > lightness["shared"][1] > lightness["shared"][2]
    # A flat head is drawn as nothing, on either scale.
    assert lightness["panel"][3] < lightness["panel"][2]


def test_a_flat_map_is_named_so():
    size, grid = (60, 100), (3, 5)
    image = np.full((*size, 3), 90, np.uint8)
    geometry = whole(size, grid)
    pages = [
        np.asarray(saliency_sheet(image, {}, np.full(grid, level), geometry)) for level in (0, 0.2)
    ]
    np.testing.assert_array_equal(pages[0], pages[1])
    plain = np.asarray(saliency_sheet(image, {}, hot_maps(grid)[0], geometry))
    caption = slice(MARGIN, MARGIN + 28), slice(MARGIN + 560, MARGIN + 1100)
    assert (pages[0][caption] < 200).sum() > (plain[caption] < 200).sum()


def outshone(grid, times=20):
    """A map that rises from 0 to 1, with one patch that holds many times as much."""
    values = np.linspace(0, 1, grid[0] * grid[1], dtype=np.float32).reshape(grid)
    values[0, 0] = times
    return values


def test_a_patch_that_outshines_the_rest_is_cut_and_the_sheet_says_so():
    size, grid = (60, 100), (3, 5)
    look, values = Look(), outshone(grid)
    scaled = look.scaled(values)
    assert scaled[0, 0] == scaled[-1, -1] == 1
    assert 0.4 < scaled[1, 2] < 0.6
    assert Look(clip=False).scaled(values)[-1, -1] < 0.1
    assert titled("map", values, look) == "map · clipped"
    assert titled("map", values, Look(clip=False)) == "map"
    assert titled("map", hot_maps(grid)[0], look) == "map"
    assert "clipped" in legend_note("", [look], True)
    assert legend_note("", [Look("blend")], False) == ""
    image = np.full((*size, 3), 90, np.uint8)
    heads = np.stack([outshone(grid), hot_maps(grid)[0]])
    pages = [
        np.asarray(saliency_sheet(image, maps, saliency, whole(size, grid)))
        for maps, saliency in (
            ({}, values),
            ({}, np.minimum(values, 1)),
            ({"ca_ffn_block_00_att": heads}, np.minimum(values, 1)),
        )
    ]
    foot = slice(-MARGIN - 30, None)
    # The legend of the plain map is shorter than that of the clipped one, or of a clipped head.
    plain = (pages[1][foot] < 200).sum()
    assert (pages[0][foot] < 200).sum() > plain
    assert (pages[2][foot] < 200).sum() > plain


def test_mask_style_shows_the_patches_with_most_of_the_mass():
    size, grid = (90, 150), (3, 5)
    image = np.full((*size, 3), (200, 60, 40), np.uint8)
    page = saliency_sheet(image, {}, hot_maps(grid)[0] + 1e-3, whole(size, grid), style="mask")
    drawn = cells(page, 3, 5 / 3)[2]
    kept = np.argwhere((drawn == (200, 60, 40)).all(axis=-1))
    found = (kept.mean(axis=0) + 0.5) / drawn.shape[:2] * grid
    np.testing.assert_allclose(found, [1.5, 2.5], atol=0.05)


def test_every_block_gets_its_row_and_the_page_its_height():
    size, grid = (60, 100), (3, 5)
    image = np.full((*size, 3), 90, np.uint8)
    heights = []
    for count in range(4):
        maps = {f"ca_ffn_block_{i:02d}_att": hot_maps(grid, 4) for i in range(count)}
        heights.append(saliency_sheet(image, maps, hot_maps(grid)[0], whole(size, grid)).height)
    steps = np.diff(heights)
    assert (steps == steps[0]).all()
    assert steps[0] > cell_size(4, 5 / 3)[0]


@pytest.mark.parametrize(
    "predictions",
    [None, [], [("cat", 1.0)], [("a name " * 40, 0.5), ("", 0.0)], [("класс", 0.1)] * 9],
)
def test_any_predictions_fit(predictions):
    size, grid = (60, 100), (3, 5)
    image = np.full((*size, 3), 90, np.uint8)
    page = saliency_sheet(
        image,
        {},
        hot_maps(grid)[0],
        whole(size, grid),
        predictions,
        title="a title " * 40,
        subtitle="a subtitle " * 40,
    )
    pixels = np.asarray(page)
    assert page.size[0] == WIDTH
    assert (pixels[:, :MARGIN] == 255).all()
    assert (pixels[:, -MARGIN:] == 255).all()


def test_the_bar_of_a_prediction_is_as_long_as_its_probability():
    dark = []
    for probability in (0.0, 0.5, 1.0, 1.7):
        head = np.asarray(heading("", [], 1000, [("", probability)], 500).image())
        # The bar begins where neither name nor number is.
        bar = head[14, 500 : 1000 - 110].astype(int)
        dark.append(int((bar.max(axis=-1) < 150).sum()))
    assert dark[0] == 0
    assert dark[1] == pytest.approx(dark[2] / 2, abs=1)
    assert dark[2] == dark[3] == 125


def test_an_empty_heading_takes_no_room():
    assert heading("", ["", ""], 500) is None


def test_blocks_are_named_in_words():
    assert block_title("ca_ffn_block_00_att") == "class attention 0"
    assert block_title("sa_ffn_block_11_att") == "self-attention 11"
    assert block_title("rollout") == "rollout"


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (7, 7), (700, 500)])
def test_photographs_of_any_shape_are_drawn(size):
    image = np.full((*size, 3), 90, np.uint8)
    maps = hot_maps((3, 5), 2)
    page = saliency_sheet(image, {"ca_ffn_block_00_att": maps}, maps[0], whole(size, (3, 5)))
    assert isinstance(page, Image.Image)
    assert page.height < 2 * WIDTH


def test_wrong_arguments_are_refused():
    size, grid = (60, 100), (3, 5)
    image = np.full((*size, 3), 90, np.uint8)
    maps = hot_maps(grid, 4)

    def draw(**changes):
        arguments = {"image": image, "maps": {"ca_ffn_block_00_att": maps}, "saliency": maps[0]}
        saliency_sheet(**{**arguments, "geometry": whole(size, grid), **changes})

    for changes in ({"scale": "global"}, {"style": "jet"}, {"normalisation": "z"}, {"alpha": 2}):
        with pytest.raises(UsageError, match="Received"):
            draw(**changes)
    broken = maps.copy()
    broken[1, 1, 2] = np.nan
    for changes in (
        {"maps": {"ca_ffn_block_00_att": broken}},
        {"saliency": broken[1]},
        {"maps": {"ca_ffn_block_00_att": maps[0]}},
        {"saliency": maps},
        {"image": image.astype(float)},
        {"image": image[:, :50]},
    ):
        with pytest.raises(InputError, match="Received"):
            draw(**changes)
