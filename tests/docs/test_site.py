"""The documentation as a site: built without a warning, complete, and silent towards outside."""

import os
import pathlib
import re
import subprocess
import sys
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What a browser fetches by itself; a link that a reader follows is something else.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']((?:https?:)?//[^\"']+)"
    r"|(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as CONTRIBUTING says."""
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("docs") / "site"
    # A page for the browser is not made here: exporting/ has its tests.
    environment = os.environ | {"KERASVIT_ONNXRUNTIME_WEB": str(folder / "nowhere")}
    command = [sys.executable, str(ROOT / "docs" / "build.py"), "-o", str(folder)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def documented(site):
    """The names of Python that the site's inventory holds."""
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    lines = zlib.decompress(packed).decode().splitlines()
    return {line.split(" py:")[0] for line in lines if " py:" in line}


def test_every_public_name_is_documented(documented, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    import members

    import kerasvit

    rooms = [name for name in members.PUBLIC if name.startswith("kerasvit.")]
    assert {f"kerasvit.{name}" for name in kerasvit._MODULES} <= {
        ".".join(room.split(".")[:2]) for room in rooms
    }
    wanted = {f"kerasvit.{name}" for name in kerasvit.__all__ if name not in kerasvit._MODULES}
    wanted |= {f"{room}.{name}" for room in rooms for name in members.public_names(room)}
    assert len(wanted) > 120
    assert wanted - documented == set()


def test_no_page_asks_for_anything_outside(site):
    pages = [path for ending in ("html", "css") for path in site.rglob(f"*.{ending}")]
    assert len(pages) > 40
    outside = {
        path.name: found
        for path in pages
        if (found := FETCHED.findall(path.read_text(encoding="utf-8")))
    }
    assert outside == {}


def test_every_record_has_its_row(site):
    from kerasvit.models import list_models
    from kerasvit.releases import list_releases

    models = (site / "reference" / "models_table.html").read_text(encoding="utf-8")
    releases = (site / "reference" / "releases_table.html").read_text(encoding="utf-8")
    assert [name for name in list_models() if f">{name}<" not in models] == []
    assert [row.name for row in list_releases() if f">{row.name}<" not in releases] == []


def test_drawings_are_what_their_script_draws(monkeypatch):
    folder = ROOT / "docs" / "drawings"
    monkeypatch.syspath_prepend(str(folder))
    import draw

    for name, drawing in draw.DRAWINGS.items():
        assert (folder / name).read_text(encoding="utf-8") == drawing(), name
