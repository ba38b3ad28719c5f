"""What was measured on, and whether others were using it at the time."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import resource
import subprocess

PACKAGES = (
    "kerasvit",
    "keras",
    "numpy",
    "jax",
    "jaxlib",
    "tensorflow",
    "torch",
    "timm",
    "onnxruntime",
    "keras-hub",
)


def describe(threads: int) -> dict:
    """Return machine, versions, date, commit and number of threads."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "commit": _commit(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what takes part, as far as it is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class Busyness:
    """Load averages at start and end, and how much of the CPUs other processes used between."""

    def __init__(self):
        self.load_at_start = os.getloadavg()[0]
        self._others, self._total = _other_ticks()

    def report(self) -> dict:
        """Return the figures; call it when all own processes have ended."""
        others, total = _other_ticks()
        passed = total - self._total
        return {
            "load_at_start": self.load_at_start,
            "load_at_end": os.getloadavg()[0],
            "used_by_others": max(0.0, (others - self._others) / passed) if passed else None,
        }


def warning(busyness: dict) -> str:
    """Return a sentence about a machine that was not idle; empty if it was."""
    others, load = busyness["used_by_others"] or 0.0, busyness["load_at_start"]
    if others < 0.05 and load < 0.5:
        return ""
    return (
        f"The machine was busy: others used {others:.0%} of its CPUs, load average {load:.1f} at "
        f"the start and {busyness['load_at_end']:.1f} at the end. Absolute figures mean little."
    )


def _other_ticks() -> tuple[float, float]:
    """Return the CPU time of all processes but this one and its children, and all time."""
    try:
        line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return 0.0, 0.0
    user, nice, system, idle, wait, irq, softirq = map(int, line.split()[1:8])
    busy = user + nice + system + irq + softirq
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages) * os.sysconf("SC_CLK_TCK")
    return busy - own, busy + idle + wait


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    wide = any("avx512f" in line for line in lines if line.startswith("flags"))
    return f"{next(names, platform.machine())}{', AVX-512' if wide else ''}"


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    folder = pathlib.Path(__file__).parents[1]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
