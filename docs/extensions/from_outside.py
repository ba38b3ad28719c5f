"""What the site shows of files outside this folder: notebooks, links to pages at the root."""

import pathlib

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
AT_THE_ROOT = ("CHANGELOG", "CONTRIBUTING", "SECURITY")


def copy_notebooks(app):
    """Copy every notebook of `examples/` that changed; its links to pages fit its new place."""
    folder = pathlib.Path(app.srcdir) / "notebooks"
    sources = {path.name: path for path in EXAMPLES.glob("*.ipynb")}
    for path in folder.glob("*.ipynb"):
        if path.name not in sources:
            path.unlink()
    for name, path in sources.items():
        copy = folder / name
        text = path.read_text(encoding="utf-8").replace("](../docs/", "](../")
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def lead_to_the_site(app, page, content):
    """Let links to the pages at the root lead to the pages that include them."""
    for name in AT_THE_ROOT:
        content[0] = content[0].replace(
            f"](../../{name}.md)", f"](../development/{name.lower()}.md)"
        )


def setup(app):
    """Copy before anything is read."""
    app.connect("builder-inited", copy_notebooks)
    app.connect("source-read", lead_to_the_site)
    return {"parallel_read_safe": True}
