"""Facts as columns of text, as `kerasvit list` and `kerasvit info` print them."""

from kerasvit.texts.printable import printable


def aligned(rows) -> str:
    """Return rows of texts as lines, each column as wide as its widest text."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def size(shape) -> str:
    """Return `HEIGHTxWIDTH`."""
    return f"{shape[0]}x{shape[1]}"


def source(release) -> str:
    """Return where a release's file is."""
    if release.embedded:
        return "in the package"
    return f"hf://{release.hub}" if release.hub else release.url
