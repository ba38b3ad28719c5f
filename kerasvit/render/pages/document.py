"""The skeleton of a page: its head, its policy, and what it holds inside itself."""

import html
import pathlib
import string
from collections.abc import Mapping
from typing import Any

from kerasvit.render.pages.embedding import as_base64, as_json
from kerasvit.texts.printable import printable

# Nothing is fetched.
OFFLINE = "default-src 'none'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
_HERE = pathlib.Path(__file__).parent


def part(name: str, folder: pathlib.Path = _HERE) -> str:
    """Return a style, script or body of a page, of those that pages share or of a folder."""
    return (folder / name).read_text(encoding="utf-8")


def document(
    body: str,
    *,
    title: str,
    note: str,
    style: str,
    script: str,
    facts: Any,
    contents: Mapping[str, bytes],
    policy: str = OFFLINE,
) -> str:
    """Return a page as text.

    Args:
        body: HTML below the heading.
        title, note: the heading and the line below it, texts of any origin.
        style: CSS.
        script: JavaScript, run in strict mode after everything else is there.
        facts: JSON that the script finds in the element "facts".
        contents: bytes that it finds, as base64, in elements of these names.
        policy: what the browser allows, see Content-Security-Policy.
    """
    element = '<script type="text/plain" id="{}">{}</script>'
    return string.Template(part("document.html")).substitute(
        body=body,
        title=html.escape(printable(title)),
        note=html.escape(printable(note)),
        style=style,
        script=script,
        facts=as_json(facts),
        contents="\n".join(
            element.format(name, as_base64(content)) for name, content in contents.items()
        ),
        policy=policy,
    )
