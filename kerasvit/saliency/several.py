"""The results of several pictures, each on a grid of its own."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

from kerasvit.saliency.figures.shown import Shown
from kerasvit.saliency.result import SaliencyMap
from kerasvit.texts.wording import counted


class SaliencyMaps(Shown, Sequence[SaliencyMap]):
    """One result for each picture of a list, in its order: a sequence that draws itself.

    Args:
        results: each of one picture.
    """

    def __init__(self, results: Iterable[SaliencyMap]) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> SaliencyMap: ...
    @overload
    def __getitem__(self, index: slice) -> "SaliencyMaps": ...
    def __getitem__(self, index: int | slice) -> "SaliencyMap | SaliencyMaps":
        if isinstance(index, slice):
            return SaliencyMaps(self._results[index])
        return self._results[index]

    def __repr__(self) -> str:
        names = [result.picture_name(0) or "without a name" for result in self._results[:8]]
        more = ", ..." if len(self) > len(names) else ""
        return f"<SaliencyMaps of {counted(len(self), 'picture')}: {', '.join(names)}{more}>"

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of all pictures, see `Shown.rows`."""
        return [row for result in self for row in result.rows()]

    def _singles(self) -> Sequence[SaliencyMap]:
        return self._results
