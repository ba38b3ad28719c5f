"""The notebooks run, in a fresh kernel, and hold the outputs of a run."""

import base64
import importlib.util
import io
import json
import os
import pathlib

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

from PIL import Image

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LARGEST, LARGEST_TOGETHER = 1.5e6, 4e6


@pytest.fixture(scope="module")
def notebooks():
    """The module beside this one."""
    path = pathlib.Path(__file__).with_name("notebooks.py")
    spec = importlib.util.spec_from_file_location("notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def test_there_are_four():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, notebooks, tmp_path, monkeypatch):
    text = path.read_text()
    for package, word in (("skimage", "sample"), ("timm", "import timm")):
        if word in text and importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    notebook = notebooks.run(path, tmp_path)
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "error"
    ]
    assert errors == []
    # An interaction shows its own errors, and the cell goes on: they lie in the widgets.
    assert "Traceback" not in json.dumps(notebook.metadata.get("widgets", {}))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_outputs_are_kept_and_small(path):
    assert path.stat().st_size < LARGEST
    cells = _cells(path)
    pictures = [
        output["data"]["image/png"]
        for cell in cells
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    assert pictures
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode("".join(picture)))) as image:
            assert image.width <= 1000
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]


def test_all_are_small_together_and_name_no_machine():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < LARGEST_TOGETHER
    for path in NOTEBOOKS:
        outputs = json.dumps([cell["outputs"] for cell in _cells(path)])
        assert os.path.expanduser("~") not in outputs
        assert "site-packages" not in outputs
        assert "Traceback" not in outputs
