"""The directive `commands`: the help of every command, from its parser."""

import argparse
import os

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Commands(SphinxDirective):
    """Write a section for each command of `kerasvit`."""

    def run(self):
        """Return the sections."""
        from kerasvit.cli.main import make_parser

        os.environ["COLUMNS"] = "88"
        parser = make_parser()
        (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
        return [self._section(name, command) for name, command in action.choices.items()]

    def _section(self, name, command):
        title = f"kerasvit {name}"
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        block = nodes.literal_block(text=command.format_help(), language="text")
        section += [nodes.title(text=title), block]
        return section


def setup(app):
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
