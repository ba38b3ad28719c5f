"""A saliency map as a table: one row a patch."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kerasvit.files import atomic_path

COLUMNS = ("picture", "method", "target", "head", "row", "column", "value")


def rows_of(maps: Any) -> list[dict[str, Any]]:
    """Return a row for each patch, by `COLUMNS`, of a `SaliencyMap`.

    `head` is a number where the heads are kept apart, else how they were combined.
    """
    rows = []
    for place, value in np.ndenumerate(maps.values):
        index, row, column = place[0], *place[-2:]
        target = "" if maps.target is None else int(maps.target[index])
        head = place[1] if maps.values.ndim == 4 else maps.heads
        facts = (maps.picture_name(index), maps.method, target, head, row, column, float(value))
        rows.append(dict(zip(COLUMNS, facts, strict=True)))
    return rows


def to_csv(
    rows: Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> str | None:
    """Write rows as CSV, atomically, or return the text where there is no path.

    Values have nine digits, from which each float32 can be read back.

    Raises:
        OutputError: if the file cannot be written, or exists and `overwrite` is false.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "value": f"{row['value']:.9g}"} for row in rows)
    if path is None:
        return stream.getvalue()
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")
    return None
