"""The page on which the patch under the pointer asks."""

import base64
import dataclasses
import gzip
import os
import re

import numpy as np
import pytest
from feature_pictures import make_features

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.features import PatchFeatures, similarity
from kerasvit.images.geometry import Geometry
from kerasvit.render import write_feature_page
from kerasvit.render.colour import colourise
from kerasvit.render.features.page import pack_features
from kerasvit.render.features.sheets import scale, shared_range

# Rounding each of 48 numbers to 1/127 of the largest leaves cosines this exact.
BOUND = 0.006


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    # The model saw a part of the second picture: 60x100 pixels from row 20 and column 10.
    geometry = Geometry((100, 120), (20.0, 10.0, 80.0, 110.0), (12, 20))
    second = random.normal(size=(3, 5, 48)).astype("float32")
    image = np.full((100, 120, 3), 90, np.uint8)
    return [
        make_features(random.normal(size=(6, 4, 48)), scale=30, name="one"),
        PatchFeatures(second, geometry, image, "two"),
    ]


@pytest.fixture
def written(tmp_path, pictures):
    def write(**options):
        write_feature_page(tmp_path / "page.html", pictures, title="A title", **options)
        return tmp_path / "page.html"

    return write


def test_features_are_kept_within_the_bound(pictures):
    for picture in pictures:
        content = gzip.decompress(pack_features(picture))
        count = len(picture.rows)
        scales = np.frombuffer(content, "<f4", count)
        whole = np.frombuffer(content[4 * count :], np.int8).reshape(count, -1)
        found = whole * scales[:, None]
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        exact = picture.directions @ picture.directions.T
        assert np.abs(found @ found.T - exact).max() < BOUND
    zeros = gzip.decompress(pack_features(make_features(np.zeros((1, 2, 3)))))
    assert not any(zeros)


def test_the_page_holds_everything_and_no_name_ends_it(pictures, tmp_path):
    name = "<!--<script></script><script>alert('é')</script> & $note"
    named = [dataclasses.replace(pictures[0], name=name), pictures[1]]
    write_feature_page(tmp_path / "a.html", named, title=name, note=name)
    write_feature_page(tmp_path / "b.html", named, title=name, note=name)
    text = (tmp_path / "a.html").read_text()
    assert (tmp_path / "b.html").read_text() == text
    assert not re.search(r"(?:https?:)?//(?!\s)[a-z0-9]+\.[a-z]", text.replace("w3.org", ""))
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)
    assert text.count("<script") == text.count("</script>") == 4
    for data in re.findall(r'src="data:image/jpeg;base64,([^"]*)"', text):
        assert base64.b64decode(data).startswith(b"\xff\xd8")


def test_what_cannot_be_shown_leaves_no_page(written, pictures, tmp_path):
    with pytest.raises(UsageError, match=r"up to 0 MB"):
        written(max_bytes=100)
    with pytest.raises(UsageError, match=r"\(6, 0\)"):
        written(patch=(6, 0))
    bare = dataclasses.replace(pictures[0], image=None)
    with pytest.raises(InputError, match="photograph"):
        write_feature_page(tmp_path / "page.html", [bare])
    assert os.listdir(tmp_path) == []
    written()
    with pytest.raises(OutputError, match="exists"):
        written()


@pytest.mark.browser
def test_the_patch_under_the_pointer_asks_in_either_picture(page, written, pictures):
    page.open(written(patch=(4, 1)))
    assert not page.complaints()
    assert [address[:5] for address in page.addresses()].count("http:") == 0

    def check(picture, patch):
        state = page.run("kerasvit.state")
        assert (state["picture"], state["row"], state["column"]) == (picture, *patch)
        for number, values in enumerate(similarity(pictures, patch, picture=picture)):
            found = page.run(f"kerasvit.map({number})")
            np.testing.assert_allclose(found, values.reshape(-1), atol=BOUND)

    def place(picture, row, column):
        """Return where a pixel of the photograph lies in the window."""
        rect = page.run(
            f"(() => {{const r = document.querySelectorAll('.stage')[{picture}]"
            ".getBoundingClientRect(); return [r.left, r.top, r.width, r.height]})()"
        )
        height, width = pictures[picture].geometry.original_size
        scale = min(rect[2] / width, rect[3] / height)
        x = rect[0] + (rect[2] - scale * width) / 2 + scale * column
        return x, rect[1] + (rect[3] - scale * height) / 2 + scale * row

    check(0, (4, 1))
    # Patch (1, 3) of the second picture covers rows 40 to 60 and columns 70 to 90.
    page.mouse("mouseMoved", *place(1, 45, 85))
    page.settle()
    check(1, (1, 3))
    page.click(*place(0, 95, 65))
    check(0, (3, 2))
    page.mouse("mouseMoved", *place(1, 45, 85))
    page.settle()
    check(0, (3, 2))  # Pinned.
    page.run("document.querySelectorAll('.stage')[0].focus()")
    page.press("ArrowLeft")
    check(0, (3, 1))
    assert page.run("location.hash") == "#picture=0&patch=3,1"
    status = page.run("document.getElementById('status').textContent")
    values = similarity(pictures, (3, 1))[1]
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert f"in two row {row}, column {column}" in status
    page.press("Escape")
    page.mouse("mouseMoved", *place(1, 5, 5))  # What the model did not see asks nothing.
    page.settle()
    check(0, (3, 1))
    assert not page.complaints()


@pytest.mark.browser
def test_both_maps_are_drawn_in_one_range(page, written, pictures):
    page.open(written(), "#picture=1&patch=2,4")
    page.run("document.getElementById('cover').value = 100")
    page.run("document.getElementById('best').checked = false")
    page.run("document.getElementById('smooth').checked = false")
    page.run("document.getElementById('alone').click()")
    page.settle()
    maps = similarity(pictures, (2, 4), picture=1)
    low, high = shared_range(maps, (2, 4), 1)
    expected = colourise(scale(maps[0], low, high), "inferno").reshape(-1, 3)
    for number, (row, column) in enumerate(np.ndindex(6, 4)):
        x, y = (column + 0.5) / 4, (row + 0.5) / 6
        pixel = page.run(
            "(() => {const c = document.querySelector('.stage'); return [...c.getContext('2d')"
            f".getImageData({x} * c.width, {y} * c.height, 1, 1).data].slice(0, 3)}})()"
        )
        assert np.abs(np.subtract(pixel, expected[number].astype(int))).max() <= 9
    shown = page.run("document.getElementById('low').textContent")
    assert float(shown) == pytest.approx(low, abs=0.005 + BOUND)
