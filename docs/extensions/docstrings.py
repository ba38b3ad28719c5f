"""Docstrings whose "Returns:" names several values: as a list, which Napoleon does not know."""

import re

_ITEM = re.compile(r"    (\w+): (.*)")


def list_returns(app, what, name, obj, options, lines):
    """Turn the named values below "Returns:" into a list, in place."""
    if "Returns:" not in lines:
        return
    start = lines.index("Returns:") + 1
    stop = next((i for i in range(start, len(lines)) if re.match(r"\S", lines[i])), len(lines))
    section = lines[start:stop]
    if len([line for line in section if _ITEM.match(line)]) < 2:
        return
    changed = [_ITEM.sub(r"    * `\1`: \2", line) for line in section]
    lines[start - 1 : stop] = [":returns:", *map(_continued, changed)]


def _continued(line):
    """Return a line of a list with what continues an item below the item's own text."""
    return line if line.startswith("    *") or not line.strip() else f"      {line.strip()}"


def setup(app):
    """Run before Napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", list_returns, priority=400)
    return {"parallel_read_safe": True}
