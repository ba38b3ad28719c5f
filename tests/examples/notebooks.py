"""Run the notebooks of `examples/` and keep their outputs: `python tests/examples/notebooks.py`.

The test beside it runs them and keeps nothing.
"""

import base64
import io
import os
import pathlib
import sys
import tempfile

import nbclient
import nbformat
from PIL import Image

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SECONDS_A_CELL = 200
WIDTH, COLOURS = 1000, 128
_ROOM = "kerasvit.conversion.proof.timm.package"
PREPARE = f"from {_ROOM} import prepare_torchvision\nprepare_torchvision()\n"


def run(path: pathlib.Path, folder: pathlib.Path) -> nbformat.NotebookNode:
    """Run a notebook in a folder, in a fresh kernel, and return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=SECONDS_A_CELL, resources=resources)
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as settings:
        if "import timm" in path.read_text():
            # As in conftest.py: timm, also where torchvision's compiled operators do not load.
            startup = pathlib.Path(settings, "profile_default", "startup", "00_prepare.py")
            startup.parent.mkdir(parents=True)
            startup.write_text(PREPARE)
            environment["IPYTHONDIR"] = settings
        return client.execute(env=environment)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave what a reader of the file sees: pictures made small, no widgets, no times."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            is_slider = "slider" in cell.metadata.get("tags", ())
            cell.outputs = [] if is_slider else [*filter(_is_shown, cell.outputs)]
            for output in cell.outputs:
                _shrink(output)


def _is_shown(output):
    return not (output.output_type == "stream" and output.name == "stderr")


def _shrink(output):
    data = output.get("data", {})
    if "image/png" in data:
        # The HTML of a result repeats its picture.
        data.pop("text/html", None)
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        picture.thumbnail((WIDTH, 4 * WIDTH))
        with io.BytesIO() as file:
            picture.quantize(COLOURS).save(file, format="PNG", optimize=True)
            data["image/png"] = base64.b64encode(file.getvalue()).decode()


def main(names: list[str]) -> int:
    """Run the notebooks, or those named, and write them with their outputs."""
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            notebook = run(path, EXAMPLES)
            tidy(notebook)
            nbformat.write(notebook, path)
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
