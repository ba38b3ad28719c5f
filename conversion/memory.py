"""Giving memory back to the system: a conversion holds every weight once or twice, not more."""

import contextlib
import ctypes
import gc
import sys

_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE = 2**20


def free_memory() -> None:
    """Free what nothing refers to any more, and return it to the system.

    Models refer to themselves, so only the garbage collector frees them. glibc then keeps what it
    may need again, up to all of it, until it is told not to; elsewhere that part does nothing.
    """
    gc.collect()
    _call_glibc("malloc_trim", 0)


def map_large_blocks() -> None:
    """Make glibc return each large block as soon as it is freed, for the rest of the process.

    It saves a conversion up to half the checkpoint's size. It slows down what allocates large
    arrays all the time, such as inference: for a process that converts and ends.
    """
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, _LARGE)


def _call_glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), name)(*arguments)
