"""Run tests on a copy of the tree in which one place is changed."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNNOTICED, NOTICED, BROKEN = "NOT NOTICED", "noticed", "BROKEN"
# A test never ended, or the machine is too busy: such verdicts are looked at when they are many.
BY_TIME = "noticed by time"
NOTHING_COLLECTED, ENDLESS = 5, -9
_kept: list[object] = []


def copy_tree(target: pathlib.Path) -> None:
    """Copy the tracked files, so that `kerasvit` with its two mapped folders is found there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            (target / name).write_bytes((ROOT / name).read_bytes())
    for folder in ("conversion", "configs"):
        (target / "kerasvit" / folder).symlink_to(target / folder)


def prepare(folder: pathlib.Path) -> None:
    """Make this process one whose forks test the copy."""
    os.chdir(folder)
    os.environ |= {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    sys.path.insert(0, str(folder))
    # Two changes of one length within a second would share their bytecode.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import matplotlib.pyplot  # noqa: F401
    import torch

    from kerasvit.conversion.proof.timm import package

    torch.set_num_threads(1)
    _kept.append((package, package.import_timm()))
    # Each fork imports the package that is changed anew.
    for name in [name for name in sys.modules if name.partition(".")[0] == "kerasvit"]:
        del sys.modules[name]


def run_tests(tests: list[str], seconds: float) -> int:
    """Run pytest in a fork of this process, and return its exit code."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        run_here(["-x", *tests])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _kill_group(child)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    _kill_group(child)
    os.waitpid(child, 0)
    return ENDLESS


def run_here(arguments: list[str], *plugins: object, at_end: Callable = lambda: None) -> NoReturn:
    """Run pytest in this process, and end it, whatever happens, with pytest's code."""
    import pytest

    # Tests of properties run without the plugin of hypothesis, which would cost each fork a second.
    # Asserts need no long explanations, and modules of other plugins are imported already.
    options = ["-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        code = pytest.main([*options, *arguments], plugins=plugins)
        at_end()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(int(code))


def _kill_group(child: int) -> None:
    """End what the tests started, and the fork itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


@contextlib.contextmanager
def changed(path: pathlib.Path, content: bytes) -> Iterator[None]:
    """Give a file other content for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def verdict(code: int) -> str:
    """Say what an exit code of pytest means for the change.

    Any code but 0 is a difference that the change made: tests failed, a module or the tests' own
    setting up cannot be imported any more, a signal ended the process, or nothing did.
    """
    if code == NOTHING_COLLECTED:
        return f"{BROKEN}: no test was found"
    if code == ENDLESS:
        return BY_TIME
    return NOTICED if code else UNNOTICED
