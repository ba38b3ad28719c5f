"""Resident memory of this process, now and at its peak, in bytes."""

import pathlib
import resource
import sys

_STATUS = pathlib.Path("/proc/self/status")
_CLEAR = pathlib.Path("/proc/self/clear_refs")


def resident() -> int:
    """Return what is resident now; the peak where the system does not say."""
    return _field("VmRSS") or peak()


def peak() -> int:
    """Return the largest resident memory since the start or the last `forget_peak`.

    Linux carries `ru_maxrss` over from the process that started this one; `VmHWM` starts anew.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return _field("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> bool:
    """Let the peak start again from what is resident now; tell whether the system can."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _field(name: str) -> int:
    if not _STATUS.exists():
        return 0
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
