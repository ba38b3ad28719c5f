"""The documentation names files that exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACES = re.compile(r"`((?:kerasvit|conversion|configs|tests|benchmarks|docs|examples)/[\w./-]+)`")
LINKS = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def _places(page):
    return PLACES.findall((ROOT / page).read_text())


@pytest.mark.parametrize("page", ["docs/development/architecture.md", "CONTRIBUTING.md"])
def test_named_files_exist(page):
    # NAME stands for any name.
    places = [place for place in _places(page) if "NAME" not in place]
    assert len(places) > 10
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_room_is_on_the_floor_plan():
    text = (ROOT / "docs" / "development" / "architecture.md").read_text()
    folders = [path for path in (ROOT / "kerasvit").iterdir() if (path / "__init__.py").exists()]
    assert [path.name for path in folders if f"`kerasvit/{path.name}`" not in text] == []


def test_links_between_pages_lead_to_files():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert [
        (page.name, link)
        for page in pages
        for link in LINKS.findall(page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ] == []
