"""What the C library does with freed memory: return it for a conversion, keep it for inference."""

import contextlib
import ctypes
import gc
import re
import sys

# Of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4

_NO_MEMORY = re.compile(
    r"can't allocate memory|out of memory|RESOURCE_EXHAUSTED|Out of memory|OOM when allocating|"
    r"Storage size calculation overflowed|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
)
_LARGE = 2**20
_PAD = 2**26
# 2 GiB. Without a threshold (-1) the heap would never shrink again.
_RARELY = 2**31 - 1


def free_memory() -> None:
    """Free what nothing refers to any more, and return it to the system.

    Models refer to themselves, so only the garbage collector frees them. glibc then keeps what it
    may need again, up to all of it, until it is told not to; elsewhere that part does nothing.
    """
    gc.collect()
    _call_glibc("malloc_trim", 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that there was no memory left: Python's, or a backend's.

    PyTorch raises a RuntimeError of its own, JAX one of XLA, TensorFlow a ResourceExhaustedError,
    on a processor and on a GPU.
    """
    if isinstance(error, MemoryError) or "Exhausted" in type(error).__name__:
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def map_large_blocks() -> None:
    """Make glibc return each large block as soon as it is freed, for the rest of the process.

    It saves a conversion up to half the checkpoint's size. It slows down what allocates large
    arrays all the time, such as inference: for a process that converts and ends.
    """
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, _LARGE)


def reuse_memory() -> bool:
    """Make glibc keep what is freed for what is allocated next, for the rest of the process.

    Every forward pass allocates its activations and scores anew. glibc returns blocks of this size
    as soon as they are freed, and the system clears each page before it hands it out again: up to a
    third of the time of a pass (README, "How fast it is"), in any library that allocates by
    `malloc`: NumPy, PyTorch, JAX and TensorFlow on a CPU. Memory that is no longer needed stays
    with the process instead, up to 2 GiB. The command line does it where it runs a model.

    Returns:
        Whether the C library is glibc and took the setting; elsewhere nothing happens.
    """
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _RARELY), (_M_TOP_PAD, _PAD))
    return all([_call_glibc("mallopt", name, value) for name, value in settings])


def _call_glibc(name: str, *arguments: int) -> int:
    """Return what the function returns, or 0 where there is none of that name."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            return getattr(ctypes.CDLL(None), name)(*arguments)
    return 0
