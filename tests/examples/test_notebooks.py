"""The notebooks run, in a fresh kernel, and hold the outputs of a run."""

import base64
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("IPython")
pytest.importorskip("ipywidgets")

from PIL import Image

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LARGEST, LARGEST_TOGETHER = 1.5e6, 4e6


# IPython without Jupyter's sockets, on which a client now and then waits for a cell that is done.
RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

cells = json.load(open(sys.argv[1]))["cells"]
sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
if any("import timm" in source for source in sources):
    from kerasvit.conversion.proof.timm.package import prepare_torchvision

    prepare_torchvision()  # as in conftest.py
shell = InteractiveShell.instance()
for source in sources:
    shell.run_cell(source, store_history=True).raise_error()
print(f"\\n{len(sources)} cells")
"""


def _cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def test_there_are_four():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    text = path.read_text()
    for package, word in (("skimage", "sample"), ("timm", "import timm")):
        if word in text and importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # An interaction shows its own errors, and the cell goes on.
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{len(_cells(path))} cells"


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
