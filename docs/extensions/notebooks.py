"""The notebooks of `examples/`, copied beside the pages while these are built."""

import pathlib
import shutil

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def copy_notebooks(app):
    """Copy every notebook that changed."""
    folder = pathlib.Path(app.srcdir) / "notebooks"
    names = {path.name for path in EXAMPLES.glob("*.ipynb")}
    for path in folder.glob("*.ipynb"):
        if path.name not in names:
            path.unlink()
    for name in names:
        copy, source = folder / name, EXAMPLES / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copyfile(source, copy)


def setup(app):
    """Copy before anything is read."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True}
