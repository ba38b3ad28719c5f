"""Loading what comes next while what is there is worked on."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")

# Items that are loaded while one is worked on; more would only fill the memory.
_AHEAD = 2


def load_ahead(
    items: Iterable[Item], load: Callable[[Item], Loaded], ahead: int = _AHEAD
) -> Iterator[tuple[Item, "concurrent.futures.Future[Loaded]"]]:
    """Yield each item with the future of what `load` returns; the next ones are under way.

    What has been yielded is not kept: the memory holds no more than the items ahead. Where the
    caller stops, those that have not begun never do.

    Args:
        items: in the order of the results.
        load: runs in a thread.
        ahead: how many items are loaded while one is worked on.
    """
    waiting: collections.deque[tuple[Item, concurrent.futures.Future[Loaded]]]
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(ahead) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(load, item)))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()
