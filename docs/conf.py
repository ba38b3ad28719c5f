"""How Sphinx builds the documentation: `python docs/build.py`."""

import datetime
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "extensions"))

import kerasvit

project = "kerasvit"
author = "The kerasvit maintainers"
project_copyright = f"{datetime.date.today().year}, {author}"
version = release = kerasvit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "myst_nb",
    # Of this folder.
    "mathml",
    "commands",
    "docstrings",
    "members",
    "from_outside",
    "tables",
]
exclude_patterns = ["extensions"]
default_role = "code"
# `kerasvit.X` and `kerasvit.room.X` are one thing: either will do.
suppress_warnings = ["ref.python"]
maximum_signature_line_length = 88

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style"), "Source"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Notebooks are shown as examples/ holds them, with their outputs; nothing loads scripts of widgets.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
# What pages show of code is to be copied without prompts.
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"kerasvit {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
