"""kill -9 at random moments: old or new, whole, and the next write leaves nothing beside it."""

import os
import pathlib
import random
import signal
import tempfile
import time

from running import Damaged, in_child, leftovers
from writers import WRITERS
from writing.models import Between


def _kill_once(write, path, seconds):
    writer = os.fork()
    if writer == 0:
        code = 1
        try:
            # What it started is killed with it, as on a machine that is switched off.
            os.setpgid(0, 0)
            while True:
                write(path)
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 3
        finally:
            os._exit(code)
    time.sleep(seconds)
    try:
        os.killpg(writer, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(writer, signal.SIGKILL)
    _, status = os.waitpid(writer, 0)
    if not os.WIFSIGNALED(status):
        raise Damaged("the writer ended by itself")


def kill(name, kills, seed):
    """Kill writers of one kind.

    Returns:
        How often something lay beside the file, and how often several files stood between two
        writes, each whole, and told so.
    """
    writer = WRITERS[name]
    left = between = 0
    with tempfile.TemporaryDirectory() as place:
        folder, scratch = pathlib.Path(place, "folder"), pathlib.Path(place, "scratch")
        folder.mkdir(), scratch.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        try:
            write, check = writer.make()
            path = folder / writer.output
            # Imports all that it takes, for the children to have.
            write(path), check(path)
            before = set(os.listdir(scratch))

            def write_and_check(path):
                write(path)
                check(path)

            started = time.perf_counter()
            in_child(write, path)
            duration = time.perf_counter() - started
            draw = random.Random(f"{seed} {name}")
            for _ in range(kills):
                _kill_once(write, path, draw.uniform(0, min(3 * duration, 6)) + 0.005)
                left += bool(leftovers(folder) + leftovers(scratch, before))
                try:
                    check(path)
                except Between:
                    between += 1
                in_child(write_and_check, path)
                remaining = leftovers(folder) + leftovers(scratch, before)
                if remaining:
                    raise Damaged(f"what a killed writer left stays: {remaining}")
        finally:
            tempfile.tempdir = None
    return left, between
