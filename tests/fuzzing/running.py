"""Inputs tried in a child process: what ends it, or is no error of ours, is a fault with a number.

An input follows from the seed, the reader and its number alone, so that one is tried again by
`--only`. The child is killed by its own clocks when an input takes too long.
"""

import contextlib
import dataclasses
import io
import json
import mmap
import os
import pathlib
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable

MEGABYTE = 2**20
# Beside what the process has already: more than this ends an input with a MemoryError.
_ROOM = 4 * 2**30
# What an input of at most a quarter of a megabyte may cost.
_PEAK = 700 * MEGABYTE


@dataclasses.dataclass(frozen=True)
class Reader:
    """What is attacked.

    Args:
        seeds: good files.
        change: makes a damaged one of them.
        read: reads it, and raises an AssertionError if it takes what it should not.
        seconds: of CPU time that an input may take.
        are_good: whether the seeds are read as they are, which is seen to at the beginning.
    """

    seeds: list[bytes]
    change: Callable[[random.Random, list[bytes]], bytes]
    read: Callable[[bytes], None]
    seconds: float = 5
    are_good: bool = True


@dataclasses.dataclass
class Tally:
    """What became of the inputs of a reader."""

    inputs: int = 0
    accepted: int = 0
    seconds: float = 0
    faults: dict[str, list] = dataclasses.field(default_factory=dict)

    def add(self, kind: str, number: int, message: str) -> None:
        """Count a fault; of each kind the first is kept."""
        self.faults.setdefault(kind, [number, message, 0])[2] += 1


def attack(name: str, make: Callable[[pathlib.Path], Reader], numbers: range, seed: int) -> Tally:
    """Try inputs in child processes, a new one after each that was killed."""
    tally, started = Tally(), time.monotonic()
    first = numbers.start
    with mmap.mmap(-1, 8) as place, tempfile.TemporaryFile() as report:
        while first < numbers.stop:
            place[:] = struct.pack("q", first)
            child = os.fork()
            if child == 0:
                _be_child(name, make, range(first, numbers.stop), seed, place, report.fileno())
            _, status = os.waitpid(child, 0)
            (reached,) = struct.unpack("q", place[:])
            if status:
                word = signal.Signals(status).name if status < 64 else f"exit {status >> 8}"
                tally.add(f"ended by {word}", reached, "the process of the reader ended")
            first = reached + 1
        report.seek(0)
        for line in report:
            kind, number, message = json.loads(line)
            if kind == "accepted":
                tally.accepted += 1
            else:
                tally.add(kind, number, message)
    tally.inputs, tally.seconds = len(numbers), time.monotonic() - started
    return tally


def _be_child(name, make, numbers, seed, place, report):
    """Try inputs until the last or the end of this process, which never returns."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2) if "KERASVIT_FUZZ_SHOWN" not in os.environ else (0,):
            os.dup2(null, stream)
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            reader = make(pathlib.Path(folder))
            for data in reader.seeds if reader.are_good and not numbers.start else ():
                reader.read(data)
            _limit_memory()
            for number in numbers:
                place[:] = struct.pack("q", number)
                draw = random.Random(f"{seed} {name} {number}")
                data = reader.change(draw, reader.seeds)
                verdict = _verdict(reader, data)
                if verdict is not None:
                    os.write(report, (json.dumps([verdict[0], number, verdict[1]]) + "\n").encode())
            os.chdir("/")
        code = 0
    except BaseException:
        os.write(report, (json.dumps(["the fuzzer", 0, traceback.format_exc()]) + "\n").encode())
    finally:
        os._exit(code)


def _limit_memory():
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, used + _ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _verdict(reader: Reader, data: bytes) -> tuple[str, str] | None:
    """Return the kind of a fault and its message, "accepted" for what was read, None if refused."""
    from kerasvit.errors import KerasViTError

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Their signals have no handler, so that nothing in between catches them.
    signal.setitimer(signal.ITIMER_PROF, reader.seconds)
    signal.setitimer(signal.ITIMER_REAL, max(60, 12 * reader.seconds))
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            reader.read(data)
        verdict = "accepted", ""
    except KerasViTError as error:
        several = "\n" in str(error) or error.exit_code == 70
        verdict = ("a message of several lines", str(error)[:500]) if several else None
    except Exception as error:
        verdict = _place(error), f"{type(error).__name__}: {error}"[:500]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > _PEAK:
        return "memory", f"{grown // MEGABYTE} MiB for {len(data)} bytes"
    return verdict


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "fuzzing" not in one.filename and "kerasvit" in one.filename]
    ours += [one for one in frames if "/conversion/" in one.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__} in {pathlib.Path(last.filename).name}:{last.lineno}"


def show(name: str, tally: Tally) -> None:
    """Print what became of a reader's inputs."""
    print(
        f"{name}: {tally.inputs} inputs in {tally.seconds:.0f} s, {tally.accepted} taken, "
        f"{len(tally.faults)} kinds of faults",
        flush=True,
    )
    for kind, (number, message, count) in tally.faults.items():
        print(f"  {count} x {kind}; --readers {name} --only {number}: {message}", file=sys.stdout)
