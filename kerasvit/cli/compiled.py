"""Programs that XLA has compiled for JAX, kept for the next command that needs the same."""

import atexit
import contextlib
import hashlib
import os
import pathlib
import platform
import shutil
import stat
import sys

from kerasvit.cache import cache_folder
from kerasvit.errors import OutputError
from kerasvit.temporary import remove_stale, temporary_name

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_LEAST_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
_MORE_CACHES = "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"
# The programs of a CaiT's training step are 2 MB.
MOST_BYTES = 256 * 2**20


def keep_compiled() -> None:
    """Have JAX keep what it compiles under the cache folder, before JAX is imported.

    The second run of a command then takes half the processor time to its first step. JAX's own
    variables win where they are set. The folder holds machine code, so it is used only where nobody
    else can write to it, and there is one for each kind of processor.

    JAX writes a program in place, and takes for good what a killed process left of it. So each
    process has a folder of its own, which begins with links to what is kept; what it adds is moved
    there when it ends.
    """
    if "jax" in sys.modules or any(name in os.environ for name in (_FOLDER, _SWITCH)):
        return
    with contextlib.suppress(OSError, OutputError):
        kept = cache_folder() / "programs" / _processor()
        kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours_alone(kept):
            return
        remove_stale(kept)
        _make_room(kept)
        own = kept / temporary_name()
        own.mkdir(mode=0o700)
        atexit.register(_keep, own, kept, os.getpid())
        for program in _programs(kept):
            os.link(program, own / program.name)
        os.environ[_FOLDER] = str(own)
        os.environ.setdefault(_LEAST_SECONDS, "0.3")
        # Caches of XLA's for GPUs would put the folder's name into the key of every program, which
        # no other process would then ask for.
        os.environ.setdefault(_MORE_CACHES, "none")


def _keep(own: pathlib.Path, kept: pathlib.Path, process: int) -> None:
    """Move what was added to where the next process finds it; a forked child moves nothing."""
    if os.getpid() != process:
        return
    with contextlib.suppress(OSError):
        for program in _programs(own):
            os.replace(program, kept / program.name)
    shutil.rmtree(own, ignore_errors=True)


def _programs(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]


def _make_room(folder: pathlib.Path) -> None:
    """Remove the oldest programs, down to `MOST_BYTES`."""
    total = 0
    for path in sorted(_programs(folder), key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)


def _processor() -> str:
    """Return a name that differs where the instructions of the processor do."""
    facts = [platform.system(), platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        facts += [line for line in lines if line.startswith(("flags", "Features"))][:1]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _is_ours_alone(folder: pathlib.Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
