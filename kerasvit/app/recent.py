"""A memory for the latest few things that were made."""

import collections
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps what was used last, up to a number; the rest is made again when it is asked for.

    Several threads may ask; each thing is made by one of them, while the others wait.

    Args:
        count: how many are kept.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: collections.OrderedDict[Hashable, Value] = collections.OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what belongs to a key, made now if it is not there."""
        with self._lock:
            if key not in self._values:
                # Room first: two models at once may be more than the memory holds.
                while len(self._values) >= self._count:
                    self._values.popitem(last=False)
                self._values[key] = make()
            self._values.move_to_end(key)
            return self._values[key]

    def __len__(self) -> int:
        return len(self._values)
