"""The drawings of the page on scores, as SVG: `python docs/drawings/draw.py`."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
INK, FAINT, CLASS, PATCH, PAPER = "#1c2733", "#8a97a6", "#f0b429", "#3f6fb5", "#ffffff"
FONT = "font-family='system-ui, sans-serif'"


def box(x, y, width, height, fill=PAPER, edge=INK, radius=3):
    """Return a rectangle."""
    return (
        f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='{radius}' "
        f"fill='{fill}' stroke='{edge}'/>"
    )


def text(x, y, words, size=13, anchor="middle", fill=INK, mono=False):
    """Return a line of text; y is its baseline."""
    font = "font-family='ui-monospace, monospace'" if mono else FONT
    return (
        f"<text x='{x}' y='{y}' font-size='{size}' {font} text-anchor='{anchor}' "
        f"fill='{fill}'>{words}</text>"
    )


def arrow(x, y, to_x, to_y):
    """Return an arrow."""
    return f"<path d='M{x} {y} L{to_x} {to_y}' stroke='{INK}' fill='none' marker-end='url(#tip)'/>"


def matrix(x, y, rows, columns, cell, class_row=True, class_column=True):
    """Return a matrix of scores; what belongs to the class token has its colour."""
    parts = []
    for row in range(rows):
        for column in range(columns):
            special = (class_row and row == 0) or (class_column and column == 0)
            shade = 0.25 + 0.6 * (((row * 7 + column * 5) % 11) / 10)
            parts.append(
                f"<rect x='{x + column * cell}' y='{y + row * cell}' width='{cell - 1}' "
                f"height='{cell - 1}' fill='{CLASS if special else PATCH}' "
                f"fill-opacity='{shade:.2f}'/>"
            )
    return "".join(parts)


def heads(x, y, rows, columns, cell, count=3, shift=7, **colours):
    """Return the matrices of several heads, one behind the other."""
    parts = []
    for head in reversed(range(count)):
        left, top = x + head * shift, y - head * shift
        parts.append(box(left - 2, top - 2, columns * cell + 3, rows * cell + 3, edge=FAINT))
        if head == 0:
            parts.append(matrix(left, top, rows, columns, cell, **colours))
    return "".join(parts)


def page(width, height, label, parts):
    """Return the whole picture, on paper that stays white in the dark."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' role='img' aria-label='{label}'>"
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        f"markerHeight='7' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='{INK}'/></marker></defs>"
        + box(0.5, 0.5, width - 1, height - 1, edge="#d5dbe1", radius=8)
        + "\n".join(parts)
        + "</svg>\n"
    )


def tokens():
    """Return how a picture becomes tokens: prefix first, then the patches row by row."""
    parts = [text(112, 28, "a picture of 3 x 5 patches"), text(480, 28, "its N = 16 tokens")]
    for number in range(15):
        row, column = divmod(number, 5)
        hue = f"hsl({150 + 18 * row + 12 * column} 45% {82 - 9 * row}%)"
        parts.append(box(32 + 32 * column, 44 + 32 * row, 30, 30, hue, FAINT))
        parts.append(text(47 + 32 * column, 64 + 32 * row, number, 11))
        left = 282 + 26 * number
        parts.append(box(left, 76, 24, 30, hue, FAINT) + text(left + 12, 96, number, 11))
    parts.append(arrow(200, 91, 242, 91))
    parts.append(box(252, 76, 26, 30, CLASS) + text(265, 96, "CLS", 10))
    parts.append(text(252, 132, "prefix tokens first (here one, the class token),", 12, "start"))
    parts.append(text(252, 149, "then patches row by row: layout.grid = (3, 5)", 12, "start"))
    return page(690, 168, "A picture cut into patches, and the tokens in their order", parts)


def _block(x, y, name, width=112):
    return box(x, y, width, 40, "#eef2f7") + text(x + width / 2, y + 25, name, 12, mono=True)


def vit():
    """Return what a ViT gives out."""
    names = ("sa_ffn_block_00", "sa_ffn_block_01", "sa_ffn_block_11")
    parts = [text(50, 205, "images", 13), arrow(78, 200, 106, 200)]
    for index, name in enumerate(names):
        left = 110 + 175 * index
        parts.append(_block(left, 180, name, 128))
        parts.append(heads(left + 30, 56, 7, 7, 10))
        parts.append(arrow(left + 64, 178, left + 64, 134))
        end = left + (171 if index < 2 else 158)
        parts.append(arrow(left + 130, 200, end, 200))
    parts += [text(445, 195, "...", 16), text(652, 205, "logits", 13)]
    parts += [
        text(174, 28, 'sa_scores["sa_ffn_block_00_att"]', 12, mono=True),
        text(596, 60, "(B, H, N, N)", 13, "start"),
        text(596, 80, "row: who looks; its sum is 1", 12, "start", FAINT),
        text(596, 97, "column: what is looked at", 12, "start", FAINT),
        text(596, 120, "yellow: the class token", 12, "start", FAINT),
        text(110, 250, 'with_attention("cls"): the first row alone,', 12, "start"),
        matrix(375, 240, 1, 7, 14),
        text(488, 250, "(B, H, 1, N)", 13, "start"),
    ]
    return page(790, 275, "A ViT: each block returns a matrix of scores for each head", parts)


def cait():
    """Return what CaiT's two stages give out."""
    parts = [text(45, 205, "images", 13), arrow(70, 200, 92, 200)]
    for index, name in enumerate(("sa_ffn_block_00", "sa_ffn_block_23")):
        left = 96 + 165 * index
        parts.append(_block(left, 180, name, 128))
        parts.append(heads(left + 32, 64, 6, 6, 11, class_row=False, class_column=False))
        parts.append(arrow(left + 64, 178, left + 64, 138))
        parts.append(arrow(left + 130, 200, left + (161 if index == 0 else 182), 200))
    parts.append(text(242, 193, "...", 16))
    for index, name in enumerate(("ca_ffn_block_00", "ca_ffn_block_01")):
        left = 446 + 165 * index
        parts.append(_block(left, 180, name, 128))
        parts.append(heads(left + 14, 120, 1, 7, 13))
        parts.append(arrow(left + 64, 178, left + 64, 142))
        parts.append(arrow(left + 130, 200, left + 161, 200))
    parts += [
        text(800, 205, "logits", 13),
        text(245, 28, "sa_scores: patches look at patches, (B, H, P, P)", 13),
        text(590, 62, "ca_scores: the class token looks at itself", 13),
        text(590, 80, "and at the patches, (B, H, 1, 1 + P)", 13),
        box(424, 150, 44, 22, CLASS) + text(446, 165, "CLS", 11),
        arrow(457, 172, 472, 178),
        text(
            420, 256, "The class token joins after self-attention; the logits are read from it.", 12
        ),
    ]
    return page(850, 285, "CaiT: blocks of self-attention, then blocks of class attention", parts)


DRAWINGS = {"tokens.svg": tokens, "vit.svg": vit, "cait.svg": cait}


def main() -> int:
    """Write every drawing."""
    for name, drawing in DRAWINGS.items():
        (HERE / name).write_text(drawing(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
