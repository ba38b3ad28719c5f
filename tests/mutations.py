"""Change single lines of the package, one at a time, and tell which changes the tests notice.

    python tests/mutations.py [WORD ...]

The changes, and the tests that stand beside each, are in `mutations.toml`; words choose those whose
file or name holds one of them. A copy of the tracked files is changed, never this tree. It exits
with 1 if a change goes unnoticed, or if the line that it replaces is not there exactly once.
Each runs in a process forked from one that has Keras and PyTorch loaded: a few seconds a change.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECONDS = 600
UNNOTICED, NOTICED, BROKEN = "NOT NOTICED", "noticed", "BROKEN"


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


def run_tests(tests: list[str]) -> int:
    """Run pytest in a fork of this process, and return its exit code."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def verdict(change: dict) -> str:
    """Make one change, run the tests beside it, and undo it."""
    path = pathlib.Path(change["file"])
    text = path.read_text()
    if text.count(change["old"]) != 1:
        return f"{BROKEN}: the line is there {text.count(change['old'])} times"
    path.write_text(text.replace(change["old"], change["new"]))
    try:
        code = run_tests(change["tests"])
    finally:
        path.write_text(text)
    if code in (0, 1):
        return NOTICED if code else UNNOTICED
    # 2 is also what pytest says when a changed module cannot be imported.
    return f"{BROKEN}: pytest ended with {code}"


def prepare(folder: pathlib.Path) -> None:
    """Make this process one whose forks test the copy."""
    os.chdir(folder)
    os.environ |= {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    sys.path.insert(0, str(folder))
    # Two changes of one length within a second would share their bytecode.
    sys.dont_write_bytecode = True
    import keras  # noqa: F401
    import torch

    torch.set_num_threads(1)


def main(words: list[str]) -> int:
    """Try the chosen changes, and say how each went."""
    changes = tomllib.loads(pathlib.Path(__file__).with_suffix(".toml").read_text())["change"]
    chosen = [
        change
        for change in changes
        if not words or any(word in change["file"] + change["name"] for word in words)
    ]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(pathlib.Path(folder))
        prepare(pathlib.Path(folder))
        for change in chosen:
            verdicts.append(verdict(change))
            print(f"{verdicts[-1]}: {change['file']}: {change['name']}", flush=True)
        os.chdir(ROOT)
    print(f"{verdicts.count(NOTICED)} of {len(verdicts)} changes are noticed")
    return int(set(verdicts) != {NOTICED})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
