"""Figures for a paper: several formats at once, dots an inch, a title of one's own."""

import re

import pytest
from PIL import Image

from kerasvit.errors import UsageError
from kerasvit.look import saliency


def test_every_format_is_written_at_once(photograph, shipped, tmp_path):
    run = saliency(
        photograph,
        shipped,
        out=tmp_path / "out",
        formats=("svg", "pdf", "png", "npz"),
        method="attention",
        dpi=100,
        title="Where it looks",
    )
    names = {name: file.name for name, file in run[0].files.items()}
    assert names == {
        "sheet": "photograph.png",
        "overlay": "photograph.overlay.png",
        "sheet.pdf": "photograph.pdf",
        "overlay.pdf": "photograph.overlay.pdf",
        "sheet.svg": "photograph.svg",
        "overlay.svg": "photograph.overlay.svg",
        "arrays": "photograph.npz",
    }
    assert all(file.exists() for file in run.files)
    with Image.open(run[0].files["sheet"]) as sheet:
        assert sheet.width == 704
        assert sheet.info["dpi"] == pytest.approx((100, 100), abs=0.02)
    with Image.open(run[0].files["overlay"]) as overlay:
        assert overlay.size == (60, 40)
    pdf = run[0].files["sheet.pdf"].read_bytes()
    assert float(re.search(rb"/MediaBox \[ 0 0 ([0-9.]+)", pdf)[1]) == pytest.approx(7.04 * 72)
    assert b"Where it looks" in pdf
    assert "Where it looks" in run[0].files["sheet.svg"].read_text()


def test_formats_without_a_png_leave_none(photograph, shipped, tmp_path):
    run = saliency(
        photograph, shipped, out=tmp_path / "out", formats="pdf", method=["rollout", "attention"]
    )
    assert sorted(file.name for file in run.files) == [
        "photograph.attention.overlay.pdf",
        "photograph.pdf",
        "photograph.rollout.overlay.pdf",
    ]


def test_an_empty_title_leaves_the_heading_to_the_caption(photograph, shipped, tmp_path):
    heights = []
    for title in (None, ""):
        out = tmp_path / repr(title)
        run = saliency(photograph, shipped, out=out, formats="png", title=title)
        with Image.open(run[0].files["sheet"]) as sheet:
            heights.append(sheet.height)
    assert heights[1] <= heights[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": "jpg"}, "png, pdf, svg, npz"),
        ({"formats": "pdf", "dpi": 0}, "between 30 and 1200"),
        ({"formats": "npz", "dpi": 300}, "dpi concerns"),
        ({"formats": "npz", "title": "x"}, "title concerns"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_any_work(photograph, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        saliency(photograph, "no model", out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_video_has_no_pages(animation, tmp_path):
    video = animation.rename(animation.with_suffix(".mp4"))
    with pytest.raises(UsageError, match="mp4, gif, npz"):
        saliency(video, "no model", out=tmp_path / "out", formats="pdf")
