import base64
import gzip
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.render import Canvas, Look
from kerasvit.render.viewer.data import pack_block
from kerasvit.render.viewer.page import write_viewer
from kerasvit.saliency import attention_distance, attention_entropy
from kerasvit.saliency.normalise import clip_brightest

HEADS = 3
# The model saw a part of the picture: 60x100 pixels from row 20 and column 10.
GEOMETRY = Geometry((100, 120), (20.0, 10.0, 80.0, 110.0), (12, 20))
PREFIXES = {
    "none": (),
    "class": ("class",),
    "distilled": ("class", "distillation"),
    "registers": ("class", "register_0", "register_1", "register_2", "register_3"),
}


def softmax(shape, seed=0):
    powers = np.exp(np.random.default_rng(seed).normal(0, 2, shape))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def make(prefix="class", grid=(3, 5)):
    """Return scores and layouts of a model with three blocks, the last as in class attention."""
    names = PREFIXES[prefix]
    layout = TokenLayout(names, grid, (4, 4))
    tokens = layout.num_tokens
    keys = ["sa_ffn_block_00_att", "sa_ffn_block_01_att"]
    scores = {key: softmax((HEADS, tokens, tokens), seed) for seed, key in enumerate(keys)}
    last = TokenLayout(("class",), grid, (4, 4))
    scores["ca_ffn_block_00_att"] = softmax((HEADS, 1, last.num_tokens), 2)
    return scores, dict.fromkeys(keys, layout) | {"ca_ffn_block_00_att": last}


@pytest.fixture
def picture():
    ramp = np.linspace(0, 255, 120)[None, :, None] * np.ones((100, 1, 3))
    return ramp.astype(np.uint8)


@pytest.fixture
def viewer(tmp_path, picture):
    """Return a function that writes a page and returns its path."""

    def write(scores, layouts, title="A title", name="page.html", **options):
        write_viewer(tmp_path / name, picture, scores, layouts, GEOMETRY, title, **options)
        return tmp_path / name

    return write


def elements(page):
    """Return the facts and the bytes of each block."""
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S)[1])
    blocks = re.findall(r'id="block-(\d+)">([A-Za-z0-9+/=]*)</script>', page)
    assert [int(number) for number, _ in blocks] == list(range(len(facts["blocks"])))
    return facts, [gzip.decompress(base64.b64decode(text)) for _, text in blocks]


def decoded(page, both=False):
    """Return `(heads, rows, prefix + patches)` by key, and the range of each row.

    Where patches are pooled, the rows of the tokens; with `both` also those of the cells.
    """
    facts, contents = elements(page.read_text())
    found, coarse = {}, {}
    for block, content in zip(facts["blocks"], contents, strict=True):
        tokens, spread, content = part(block, content, len(block["tokens"]), block["patches"])
        cells = int(np.prod(block["grid"])) if block["asks"] else 0
        patches, spread_of_patches, content = part(block, content, cells, block["grid"])
        assert not content
        if block["pooled"] == 1 and block["asks"]:
            tokens = np.concatenate([tokens, patches], axis=1)
            spread = np.concatenate([spread, spread_of_patches], axis=1)
        found[block["key"]] = tokens, spread, block
        coarse[block["key"]] = patches, spread_of_patches
    return (found, coarse) if both else found


def part(block, content, rows, grid):
    """Return `(heads, rows, prefix + patches)`, the range of each row, and the bytes behind."""
    shape, width, count = (block["heads"], rows), len(block["prefix"]), int(np.prod(grid))
    all_rows = shape[0] * rows
    floats = np.frombuffer(content, "<f4", count=all_rows * (2 + width))
    ranges = floats[: 2 * all_rows].reshape(*shape, 2)
    prefix = floats[2 * all_rows :].reshape(*shape, width)
    end = floats.nbytes + all_rows * count
    patches = np.frombuffer(content[floats.nbytes : end], np.uint8).reshape(*shape, count)
    low, high = ranges[..., :1], ranges[..., 1:]
    values = low + (high - low) * (patches / np.float32(255))
    return np.concatenate([prefix, values], axis=-1), high - low, content[end:]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_page_holds_the_scores_within_the_stated_bound(viewer, prefix):
    scores, layouts = make(prefix)
    found = decoded(viewer(scores, layouts))
    assert list(found) == list(scores)
    for key, values in scores.items():
        read, spread, block = found[key]
        assert read.shape == values.shape
        assert (np.abs(read - values) <= spread / 510 * 1.001 + 1e-9).all()
        assert block["prefix"] == [name.replace("_", " ") for name in layouts[key].prefix]
    asks = {key: block["asks"] for key, (_, _, block) in found.items()}
    assert list(asks.values()) == [True, True, False]


def test_rows_of_the_class_and_distillation_tokens_alone_are_enough(viewer):
    layout = TokenLayout(PREFIXES["distilled"], (3, 5), (4, 4))
    scores = {"sa_ffn_block_11_att": softmax((HEADS, 2, 17))}
    ((_, _, block),) = decoded(viewer(scores, {"sa_ffn_block_11_att": layout})).values()
    assert block["tokens"] == ["class", "distillation"]
    assert not block["asks"]


def test_a_flat_row_stays_flat(viewer):
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    values = np.full((1, 1, 16), 1 / 16, np.float32)
    page = viewer({"ca_ffn_block_00_att": values}, {"ca_ffn_block_00_att": layout})
    ((read, _, _),) = decoded(page).values()
    np.testing.assert_array_equal(read, values)


def test_a_page_that_would_be_too_large_averages_patches_and_says_so(viewer):
    scores, layouts = make("registers", (9, 7))
    full = viewer(scores, layouts)
    assert "mean of" not in re.search('id="note">(.*?)<', full.read_text())[1]
    size = sum(len(text) for text in re.findall(r'id="block-\d+">([^<]*)<', full.read_text()))
    small = viewer(scores, layouts, name="small.html", max_bytes=size // 2)
    assert "mean of 2 by 2 patches" in small.read_text()
    found, coarse = decoded(small, both=True)
    values = scores["sa_ffn_block_01_att"]
    read, spread, block = found["sa_ffn_block_01_att"]
    # Tokens ask about each patch.
    np.testing.assert_allclose(read, values[:, :5], atol=spread.max() / 510 * 1.01)
    read, spread = coarse["sa_ffn_block_01_att"]
    assert (block["grid"], block["patches"], block["pooled"]) == ([5, 4], [9, 7], 2)
    # The cell in row 4, column 3 holds the patch (8, 6) alone; (1, 2) holds four patches.
    corner, four = 5 + 8 * 7 + 6, [5 + row * 7 + column for row in (2, 3) for column in (4, 5)]
    cells = 4 * 4 + 3, 1 * 4 + 2
    expected = values[:, corner][:, four].mean(axis=-1)
    assert np.abs(read[:, cells[0], 5 + cells[1]] - expected).max() <= spread.max() / 510 * 1.01
    expected = values[:, four].mean(axis=1)[:, 3]
    np.testing.assert_allclose(read[:, cells[1], 3], expected, atol=1e-7)


@pytest.mark.parametrize("max_bytes", [400_000, 150_000, 60_000])
def test_pages_are_pooled_no_more_than_their_size_demands(viewer, max_bytes):
    scores, layouts = make("class", (12, 17))
    page = viewer(scores, layouts, max_bytes=max_bytes)
    pooled = {block["pooled"] for block in elements(page.read_text())[0]["blocks"]}
    (size,) = pooled
    assert size == 1 or sum(_sizes(scores, layouts, size - 1)) > max_bytes
    assert sum(_sizes(scores, layouts, size)) <= max_bytes


def _sizes(scores, layouts, pooled):
    return [4 * len(pack_block(key, values, layouts[key], pooled).packed) // 3
            for key, values in scores.items()]  # fmt: skip


def test_heads_are_measured_where_scores_are_probabilities(viewer):
    scores, layouts = make("registers")
    key = "sa_ffn_block_00_att"
    scores["sa_ffn_block_01_att"] = scores["sa_ffn_block_01_att"] * 1.5
    blocks = {
        block["key"]: block for block in elements(viewer(scores, layouts).read_text())[0]["blocks"]
    }
    for name, measure in (("distance", attention_distance), ("entropy", attention_entropy)):
        expected = measure(scores[key][None], layouts[key])[0]
        np.testing.assert_allclose(blocks[key][name], expected, rtol=1e-3)
        assert name not in blocks["sa_ffn_block_01_att"]
    assert "distance" not in blocks["ca_ffn_block_00_att"]
    assert len(blocks["ca_ffn_block_00_att"]["entropy"]) == HEADS


def test_the_page_asks_for_nothing_and_stays_whole_whatever_its_names(viewer):
    scores, layouts = make()
    title = "</script><script>alert('é')</script> & $note"
    page = viewer(scores, layouts, title, note="<b>").read_text()
    assert not re.search(r"(?:https?:)?//(?!\s)[a-z0-9]+\.[a-z]", page.replace("w3.org", ""))
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "default-src 'none'" in page
    assert page.count("<script") == page.count("</script>") == 2 + len(scores)
    assert "&lt;/script&gt;&lt;script&gt;alert(&#x27;é&#x27;)" in page
    assert "$" not in re.search("<h1>(.*?)</h1>", page)[1].replace("$note", "")


def test_names_of_tokens_end_no_element_of_the_page(viewer):
    name = "</script><script>alert(1)</script>"
    layout = TokenLayout(("class", name), (3, 5), (4, 4))
    scores = {"sa_ffn_block_00_att": softmax((HEADS, 17, 17))}
    page = viewer(scores, {"sa_ffn_block_00_att": layout}).read_text()
    assert page.count("</script>") == 2 + len(scores)
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S)[1])
    assert name in json.dumps(facts["blocks"][0]["prefix"], ensure_ascii=False)


def test_the_picture_is_inside_and_not_longer_than_1024(tmp_path):
    large = np.full((700, 2000, 3), 90, np.uint8)
    scores, layouts = make()
    geometry = Geometry((700, 2000), (0, 0, 700, 2000), (12, 20))
    write_viewer(tmp_path / "a.html", large, scores, layouts, geometry, "a")
    data = re.search(r'src="data:image/jpeg;base64,([^"]*)"', (tmp_path / "a.html").read_text())[1]
    (tmp_path / "a.jpg").write_bytes(base64.b64decode(data))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (1024, 358)
        assert np.abs(np.asarray(image).astype(int) - 90).max() <= 2


def test_equal_scores_give_equal_bytes(viewer):
    scores, layouts = make()
    first, second = (viewer(scores, layouts, name=name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_existing_pages_are_kept_unless_overwriting_is_asked_for(viewer, tmp_path):
    scores, layouts = make()
    path = viewer(scores, layouts)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        viewer(scores, layouts, "Another")
    assert path.read_bytes() == before
    assert viewer(scores, layouts, "Another", overwrite=True).read_bytes() != before
    assert os.listdir(tmp_path) == ["page.html"]


def test_what_does_not_fit_is_named_and_leaves_no_page(viewer, tmp_path, picture):
    scores, layouts = make()
    key = "sa_ffn_block_01_att"
    for wrong in (
        scores[key][:, :7],
        scores[key][:, :, :7],
        scores[key][None],
        scores[key] * np.nan,
    ):
        with pytest.raises(InputError):
            viewer({key: wrong}, layouts)
    for wrong in ({}, {"another": scores[key]}):
        with pytest.raises(InputError, match="layout"):
            viewer(wrong, layouts)
    with pytest.raises(InputError, match="photograph"):
        write_viewer(tmp_path / "a", picture[:9], scores, layouts, GEOMETRY, "a")
    with pytest.raises(UsageError, match="max_bytes"):
        viewer(scores, layouts, max_bytes=10)
    assert os.listdir(tmp_path) == []


# ---- in a browser ----


@pytest.fixture
def shown(page, viewer):
    """Return a function that opens a page of `make(prefix)`."""

    def show(prefix="class", fragment="", **options):
        scores, layouts = make(prefix)
        page.open(viewer(scores, layouts, **options), fragment)
        return scores

    return show


def place(page, row, column, grid=(3, 5)):
    """Return where the middle of a patch is in the window."""
    left, top, width, height = page.run(
        "(() => { const r = document.getElementById('stage').getBoundingClientRect();"
        "return [r.left, r.top, r.width, r.height]; })()"
    )
    edges = GEOMETRY.box
    y = edges[0] + (row + 0.5) / grid[0] * (edges[2] - edges[0])
    x = edges[1] + (column + 0.5) / grid[1] * (edges[3] - edges[1])
    return left + x / 120 * width, top + y / 100 * height


def status(page):
    return page.run("document.getElementById('status').textContent")


def strongest(scores, key, head, row):
    """Return the row and column that a query attends to most."""
    values = scores[key][:, row]
    chosen = values.mean(axis=0) if head == "mean" else values[head]
    patches = chosen[-15:]
    return divmod(int(patches.argmax()), 5)


browser = pytest.mark.browser


@browser
def test_browser_shows_the_last_block_at_first_and_complains_of_nothing(page, shown):
    scores = shown()
    row, column = strongest(scores, "ca_ffn_block_00_att", "mean", 0)
    assert status(page).startswith("class attention 0, mean of the heads: the class token")
    assert f"most to row {row}, column {column}:" in status(page)
    assert page.complaints() == []
    assert [address.split(":")[0] for address in page.addresses()] == ["file", "data"]


@browser
@pytest.mark.parametrize("head", ["mean", 0, 2])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_browser_reads_the_numbers_that_were_written(page, shown, prefix, head):
    scores = shown(prefix)
    tokens = len(PREFIXES[prefix])
    script = (
        f"(async () => [...(await kerasvit.row(1, {head!r}, {{row: 2, column: 1}})).patches])()"
    )
    values = scores["sa_ffn_block_01_att"][:, tokens + 2 * 5 + 1, tokens:]
    expected = values.mean(axis=0) if head == "mean" else values[head]
    np.testing.assert_allclose(page.run(script), expected, atol=np.ptp(values) / 510 + 1e-6)


@browser
def test_browser_pointer_shows_what_a_patch_attends_to_and_a_click_pins_it(page, shown):
    scores = shown(fragment="#layer=1&head=2")
    page.mouse("mouseMoved", *place(page, 1, 3))
    page.settle()
    row, column = strongest(scores, "sa_ffn_block_01_att", 2, 1 + 5 + 3)
    assert "self-attention 1, head 2: the patch in row 1, column 3" in status(page)
    assert f"most to row {row}, column {column}:" in status(page)
    page.click(*place(page, 2, 0))
    page.mouse("mouseMoved", *place(page, 0, 4))
    page.settle()
    assert "the patch in row 2, column 0" in status(page), "pinned"
    page.click(*place(page, 2, 0))
    page.mouse("mouseMoved", *place(page, 0, 4))
    page.settle()
    assert "the patch in row 0, column 4" in status(page), "let go"


def drawn(page):
    """Return the pixels of the canvas, uint8 (h, w, 3)."""
    size = page.run("[stage.width, stage.height]")
    data = page.run(
        "(() => { const data = stage.getContext('2d').getImageData(0, 0, stage.width, stage.height)"
        ".data; let text = ''; for (let i = 0; i < data.length; i += 8192)"
        "text += String.fromCharCode(...data.subarray(i, i + 8192)); return btoa(text); })()"
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(size[1], size[0], 4)[..., :3]


@browser
@pytest.mark.parametrize("style", ["fade", "heatmap"])
def test_browser_draws_what_the_sheet_does(page, shown, picture, style):
    """The same colours as `kerasvit.render.overlay`, up to JPEG and 255 levels."""
    scores = shown(colormap="inferno")
    if style == "heatmap":
        page.run("document.getElementById('alone').click()")
        page.settle()
    pixels = drawn(page)
    (height, width), values = pixels.shape[:2], scores["ca_ffn_block_00_att"][:, 0, 1:].mean(axis=0)
    canvas = Canvas.at_size(picture, GEOMETRY, (height, width), "inferno")
    expected = Look(style).overlay(canvas, values.reshape(3, 5)).astype(int)
    assert np.abs(pixels.astype(int) - expected).mean() < 1.5
    assert (np.abs(pixels.astype(int) - expected).max(axis=-1) > 12).mean() < 0.01


@browser
def test_browser_clips_by_the_sheets_rule_and_says_so(page, viewer):
    scores = np.full((1, 1, 16), 0.01, np.float32)
    scores[..., 4:9] = 0.05, 0.04, 0.03, 0.06, 0.7
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    key = "ca_ffn_block_00_att"
    page.open(viewer({key: scores}, {key: layout}))
    high = "document.getElementById('high').textContent"
    level = clip_brightest(scores[0, 0, 1:].reshape(3, 5)).values.max()
    text = page.run(high)
    assert text.startswith("from ")
    assert abs(float(text.split()[1]) / 100 - level) < 0.7 / 255
    page.run("document.getElementById('clip').click()")
    page.settle()
    assert page.run(high) == "70 %"


@browser
def test_browser_a_dot_for_each_head_leads_to_it(page, shown):
    shown(fragment="#layer=0&head=mean")
    assert page.run("document.querySelectorAll('#heads circle').length") == 2 * HEADS
    page.run("[...document.querySelectorAll('#heads circle:not(.shown)')][1]"
             ".dispatchEvent(new MouseEvent('click'))")  # fmt: skip
    page.settle()
    assert "self-attention 1, head 1" in status(page)
    assert re.search(r"Attention of this head: distance \d+\.?\d* px, entropy \d", status(page))
    assert page.run("document.querySelectorAll('#heads circle.shown').length") == 1
    page.run("document.querySelector('[data-probe=entropy]').click()")
    assert page.run("document.querySelectorAll('#heads circle').length") == 3 * HEADS


@browser
def test_browser_outside_of_what_the_model_saw_nothing_asks(page, shown):
    shown(fragment="#layer=1&query=1,1")
    before = status(page)
    x, y = place(page, 0, 0)
    page.click(x - 80, y)
    assert status(page) == before


@browser
def test_browser_keys_do_all_that_the_mouse_does(page, shown):
    shown(fragment="#layer=1&query=1,1")
    page.run("document.getElementById('stage').focus()")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.press(key)
    assert "row 2, column 0" in status(page), "and not beyond the edge"
    page.press("h")
    assert "head 0" in status(page)
    page.press("H", shift=True)
    page.press("H", shift=True)
    assert "head 2" in status(page)
    page.press("m")
    assert "mean of the heads" in status(page)
    page.press("L", shift=True)
    assert "self-attention 0" in status(page)
    page.press("c")
    assert "the class token attends" in status(page)
    assert page.run("location.hash") == "#layer=0&head=mean&query=class"
    assert page.run("document.getElementById('live').textContent") == status(page)
    page.press("ArrowUp")
    assert "the patch in row 1, column 2" in status(page), "from the token to the middle"


@browser
def test_browser_sliders_are_worked_by_the_keyboard(page, shown):
    shown(fragment="#layer=0&head=mean&query=1,2")
    page.run("document.getElementById('layer').focus()")
    page.press("ArrowRight")
    assert "self-attention 1" in status(page)
    page.press("Tab")
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert "self-attention 1, head 1" in status(page)
    assert page.run("document.getElementById('head').getAttribute('aria-valuetext')") == "1"


@browser
def test_browser_keeps_the_patch_through_a_layer_where_only_the_class_token_asks(page, shown):
    shown("none", "#layer=1&query=2,4")
    assert "row 2, column 4" in status(page)
    page.press("l")
    assert "class attention 0" in status(page)
    assert "the class token attends" in status(page)
    page.press("l")
    assert "self-attention 0" in status(page)
    assert "the patch in row 2, column 4" in status(page)


@browser
@pytest.mark.parametrize("smooth", [False, True])
def test_browser_draws_the_hot_patch_where_it_is_and_dims_the_rest(page, viewer, smooth):
    scores = np.full((1, 1, 16), 0.01, np.float32)
    scores[..., 1 + 1 * 5 + 3] = 0.8
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    page.open(viewer({"ca_ffn_block_00_att": scores}, {"ca_ffn_block_00_att": layout}))
    if smooth:
        page.run("document.getElementById('smooth').click()")
        page.settle()
    window = page.screenshot().astype(int)

    def colour(row, column):
        x, y = place(page, row, column)
        return window[round(y), round(x)]

    def yellow(pixel):
        return pixel[0] > pixel[2] + 60

    hot = [(r, c) for r in range(3) for c in range(5) if yellow(colour(r, c))]
    assert hot == [(1, 3)]
    x, y = place(page, 1, 4)
    outside = window[round(y), round(x + 20 / 120 * 600)]
    assert outside.max() < 0.6 * 255, "the model did not see the right end, the brightest"
    assert np.ptp(outside) < 20


@browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 700, 1400])
def test_browser_fits_any_window_in_light_and_dark(page, shown, scheme, width):
    shown()
    page.prefer(scheme)
    page.resize(width, 700)
    page.settle()
    assert page.run("document.documentElement.scrollWidth") <= width
    margin = page.screenshot()[2, 2]
    assert (margin.max() < 60) if scheme == "dark" else (margin.min() > 200)


@browser
def test_browser_names_every_control_for_those_who_do_not_see_it(page, shown):
    shown()
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
        if not node.get("ignored") and "role" in node
    }  # fmt: skip
    roles = ("slider", "checkbox", "button", "application")
    assert not [role for role, name in named if role in roles and not name.strip()]
    assert ("group", "Attention from") in named
    sliders = sorted(name.split()[0] for role, name in named if role == "slider")
    assert sliders == ["Head", "Layer", "Map"]
    assert any(role == "application" and "Arrow keys" in name for role, name in named)


@browser
def test_browser_works_through_a_page_of_averaged_patches(page, viewer):
    scores, layouts = make("registers", (9, 7))
    page.open(viewer(scores, layouts, max_bytes=15_000), "#layer=1&head=0&query=4,3")
    assert "mean of 2 by 2 patches" in page.run("document.getElementById('note').textContent")
    assert "the patch in row 4, column 3" in status(page)
    page.run("document.getElementById('stage').focus()")
    page.press("ArrowDown")
    assert "row 4, column 3" in status(page)
    assert page.complaints() == []
