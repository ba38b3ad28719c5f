"""Pictures with any number of labels each, by a table."""

import csv
import os
import pathlib

import numpy as np

from kerasvit.errors import InputError
from kerasvit.training.data.folders import PictureFolder


def read_label_table(
    table: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> PictureFolder:
    """Read which labels the pictures of a folder have.

    Args:
        table: a CSV file with a header. Its first column holds the pictures' paths in the folder,
            each further column is a label, named in the header: 1 in the rows of the pictures that
            have it, 0 in the others.
        folder: where the pictures lie.

    Returns:
        The pictures in the order of the table; `labels` are `(n, K)` of 0 and 1. No picture is
        opened, but each is there.

    Raises:
        InputError: if the table cannot be read, has another form, or names a picture twice or one
            that is not there.
    """
    rows = _rows(table)
    header, content = rows[0], rows[1:]
    names = tuple(name.strip() for name in header[1:])
    if not names or not all(names) or len(set(names)) < len(names) or not content:
        raise _problem(table, 1, f"{len(names)} labels and {len(content)} pictures")
    root, paths = pathlib.Path(folder), []
    labels = np.zeros((len(content), len(names)), np.int32)
    for index, row in enumerate(content):
        values = [cell.strip() for cell in row[1:]]
        if len(values) != len(names) or not set(values) <= {"0", "1"}:
            raise _problem(table, index + 2, ",".join(row))
        paths.append(root / row[0].strip())
        labels[index] = [int(value) for value in values]
    # `os.path` takes a name that is too long for one that is not there.
    missing = next((path for path in paths if not os.path.isfile(path)), None)
    if missing is not None or len(set(paths)) < len(paths):
        received = f"{str(missing)!r}, which is no file" if missing else "one picture twice"
        raise InputError(
            f"{str(table)!r} names pictures of {str(folder)!r}, each once. Received: {received}. "
            "Correct the table"
        )
    return PictureFolder(paths, labels, names)


def _rows(table: str | os.PathLike[str]) -> list[list[str]]:
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(
            f"{str(table)!r} must be a CSV file in UTF-8. Received: {type(error).__name__}: "
            f"{error}. Name another file"
        ) from error
    return rows or [[]]


def _problem(table: str | os.PathLike[str], line: int, received: str) -> InputError:
    return InputError(
        f"{str(table)!r} must have a header `file,LABEL,...` and rows of a path and a 0 or 1 for "
        f"each label. Received: line {line}: {received[:80]!r}. Correct that line"
    )
