"""Faults put into every writer: kills at random moments, and full disks.

    python tests/injected [--kills 50] [--limits 20] [--kinds keras,npz,...] [--seed 0]
    python tests/injected --runs 50      # kerasvit train --overwrite and --resume, killed
    python tests/injected --kinds "" --signals 5 [--commands train,app,...]   # Ctrl-C, SIGTERM
    python tests/injected --kinds "" --crowds same,different,corrupted,pictures

A command beside the suite, an hour long; `tests/injected/test_samples.py` is its sample inside. For
each kind one process with everything imported forks writers that write over one file for ever, and
are killed (SIGKILL) with all that they started, after a random time; then the file must be one that
was written whole, and the next write must leave nothing beside it. A full disk is a tmpfs, which
takes root, and a limit on the size of files. Exits with 1 if a promise was broken. Rows 15, 16 and
21 of the fault table; the figures of the last run are in docs/development/robustness.md.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"KERASVIT_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import crowds
import disks
import kills
import runs
from running import Damaged, in_child
from signalled.commands import COMMANDS
from signalled.signalling import signal_all
from writers import WRITERS


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="of each kind")
    parser.add_argument("--limits", type=int, default=20, help="sizes of full disks of each kind")
    parser.add_argument("--runs", type=int, default=0, help="kills of training runs, instead")
    parser.add_argument(
        "--signals", type=int, default=0, help="of each kind to commands, after those"
    )
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--kinds", default=",".join(WRITERS))
    parser.add_argument("--crowds", default="", help="of eight processes, after the kinds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    import keras  # noqa: F401 - once, before the forks

    import kerasvit  # noqa: F401

    if options.runs:
        return _tried("training runs", runs.kill, options.runs, options.seed)
    code = 0
    for name in filter(None, options.kinds.split(",")):
        if not WRITERS[name].is_there:
            print(f"{name}: left out, one of {', '.join(WRITERS[name].needs)} is missing")
            continue
        if options.kills:
            code |= _tried(f"{name}, kills", _kills, name, options.kills, options.seed)
        if options.limits:
            code |= _tried(f"{name}, full disks", _disks, name, options.limits)
    for name in filter(None, options.crowds.split(",")):
        code |= _tried(f"eight processes, {name}", crowds.gather, name)
    if options.signals:
        code |= _signals(options.commands.split(","), options.signals, options.seed)
    return code


def _signals(commands, count, seed):
    code = 0
    for name, is_kept, text in signal_all(commands, count, seed):
        print(f"{name}: {text}", flush=True)
        code |= not is_kept
    return code


def _tried(title, function, *arguments):
    started = time.monotonic()
    try:
        # A process for each kind: what one imports or sets, the next does not see.
        text = in_child(function, *arguments)
    except Damaged as error:
        print(f"{title}: DAMAGED: {str(error)[:2000]}", flush=True)
        return 1
    print(f"{title}: {text}, 0 damaged; {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _kills(name, count, seed):
    left, between = kills.kill(name, count, seed)
    told = f", {between} between two files, and told" if between else ""
    return f"{count} kills, {left} times something to remove{told}"


def _disks(name, limits):
    failed = disks.fill(name, limits)
    is_refused = failed.pop("read_only")
    told = ", ".join(f"{way}: {limits} sizes, {count} too small" for way, count in failed.items())
    return told + (", read-only: refused" if is_refused else "")


if __name__ == "__main__":
    sys.exit(main())
