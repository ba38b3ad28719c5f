"""What every result can do: draw itself, save itself, list its numbers."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasvit.errors import UsageError
from kerasvit.saliency.figures import plotting
from kerasvit.saliency.numbers import to_csv
from kerasvit.texts.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A result of a thousand pictures must not fill a notebook.
IN_NOTEBOOKS = 8


class Shown:
    """A result that shows itself; what it is made of, `_singles` and `rows` say."""

    def _singles(self) -> Sequence[Any]:
        """Return the results, each of one picture."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each patch, as `pandas.DataFrame` takes them.

        Picture, method, target, head, row, column and value; `head` is a number where the heads are
        kept apart, else how they were combined.
        """
        raise NotImplementedError

    def plot(self, *others: Any, **style: Any) -> "Figure":
        """Draw photograph and map side by side, a row for each picture.

        Args:
            *others: further results, of the same pictures or of others, drawn beside or below.
            **style: arguments of `kerasvit.saliency.plot`, such as `title` and `colormap`.

        Returns:
            A figure of Matplotlib.

        Raises:
            UsageError: as `kerasvit.saliency.plot`.
        """
        return plotting.plot([self, *others], **style)

    def save(
        self,
        path: str | os.PathLike[str],
        *others: Any,
        dpi: float = 150,
        overwrite: bool = False,
        **style: Any,
    ) -> None:
        """Write what `plot` draws, or the numbers, atomically, as the ending says.

        Args:
            path: ends in `.png`, `.pdf` or `.svg`; or in `.npz`, for `SaliencyMap.save_npz`.
            *others: as for `plot`.
            dpi: dots an inch, kept in the file; of a PDF or SVG, those of the photographs inside.
            overwrite: whether an existing file may be replaced.
            **style: as for `plot`.

        Raises:
            OutputError: if the file cannot be written, or exists and `overwrite` is false.
            UsageError: if the ending is another, or as `plot`.
        """
        if plotting.ending_of(path, (*plotting.KINDS, "npz")) != "npz":
            plotting.save(path, [self, *others], dpi=dpi, overwrite=overwrite, **style)
            return
        save_npz = getattr(self, "save_npz", None)
        if save_npz is None or others or style:
            raise UsageError(
                "A .npz file holds the numbers of one result, and no figure. "
                f"Received: {os.fspath(path)!r}. Save a single result without more arguments."
            )
        save_npz(path, overwrite)

    def to_csv(
        self, path: str | os.PathLike[str] | None = None, overwrite: bool = False
    ) -> str | None:
        """Write `rows` as CSV, atomically; without a path, return the text.

        Raises:
            OutputError: if the file cannot be written, or exists and `overwrite` is false.
        """
        return to_csv(self.rows(), path, overwrite)

    def _repr_png_(self) -> bytes:
        return plotting.as_png(self._singles()[:IN_NOTEBOOKS])

    def _repr_html_(self) -> str:
        singles = self._singles()
        more = len(singles) - IN_NOTEBOOKS
        caption = f"{singles[0].method}, {'x'.join(map(str, singles[0].layout.grid))} patches"
        caption += f", and {counted(more, 'more picture')}" if more > 0 else ""
        return plotting.as_html(singles[:IN_NOTEBOOKS], caption)
