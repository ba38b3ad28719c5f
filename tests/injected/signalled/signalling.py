"""Ctrl-C and SIGTERM in the middle of commands: the code, one line or none, and nothing left."""

import contextlib
import json
import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import tempfile
import time

from running import Damaged, content, leftovers
from signalled.commands import COMMANDS, Inputs, environment, silent_hub
from writing import checks

# Both as people send them: a terminal to all processes, `kill` and `docker stop` to one.
SIGNALS = {"SIGINT": 130, "SIGTERM": 143}
_LIMIT = 30
# Seconds of a command that is left alone, and that one which never ends is given.
_PATIENCE, _LONG = 300, 6.0
_WHOLE = {
    ".png": checks.picture,
    ".npz": checks.arrays,
    ".json": checks.json_file,
    ".csv": checks.csv_file,
    ".html": checks.html,
    ".keras": checks.keras_file,
}


class Zygote:
    """Runs commands, each in a process forked from one that has all imported.

    Args:
        scratch: folder for temporary files.
    """

    def __init__(self, scratch: pathlib.Path) -> None:
        self._environment = environment(scratch)
        self._said = scratch.parent / "said"
        place = pathlib.Path(__file__).parent
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(place / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self._process.stdin.close()
        self._process.wait()

    def start(self, arguments, more):
        """Start a command; return its process' number."""
        order = {
            "arguments": arguments,
            "environment": {**self._environment, **more},
            "said": str(self._said),
        }
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def wait(self, command, seconds=_LIMIT):
        """Wait for a command's end; return its code, as `subprocess` does, and what it said.

        Raises:
            Damaged: if it hangs.
        """
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            os.killpg(command, signal.SIGKILL)
            self._process.stdout.readline()
            raise Damaged(f"still there after {seconds} s: {self._said.read_text()[-1500:]}")
        return int(self._process.stdout.readline()), self._said.read_text()


def signal_all(names, count, seed):
    """Send both signals to commands, at so many random moments each.

    Yields:
        A command's name, whether it kept its promises, and what to say of it.
    """
    with tempfile.TemporaryDirectory() as name, silent_hub() as hub:
        folder = pathlib.Path(name)
        (folder / "inputs").mkdir(), (folder / "scratch").mkdir()
        inputs = Inputs(folder / "inputs")
        with Zygote(folder / "scratch") as zygote:
            for name in names:
                if not COMMANDS[name].is_there:
                    yield name, True, f"left out, without {', '.join(COMMANDS[name].needs)}"
                    continue
                trial = _Trial(name, inputs, folder, zygote, hub)
                try:
                    yield name, True, trial.run(count, random.Random(f"{seed} {name}"))
                except Damaged as error:
                    # It leaves the others their turn.
                    yield name, False, f"BROKEN: {str(error)[:3000]}"


class _Trial:
    """One command, signalled again and again.

    Args:
        name: of the command.
        inputs: what it reads.
        folder: its outputs and temporary files lie here.
        zygote: what it is forked from.
        hub: environment of a hub that never answers.
    """

    def __init__(self, name, inputs, folder, zygote, hub) -> None:
        self._command, self._inputs, self._zygote = COMMANDS[name], inputs, zygote
        self._output, self._scratch = folder / name, folder / "scratch"
        self._more = hub if name == "push" else {}
        self._output.mkdir()

    def run(self, count, draw):
        seconds = self._whole()
        codes = []
        for number in range(count):
            for name, code in SIGNALS.items():
                # Early, for alone it may have been slower; and anywhere, even after the end.
                pause = draw.uniform(0, seconds) if number else seconds / 4
                codes.append(self._signal(name, code, pause))
        ended = codes.count(0)
        return f"{len(codes)} signals, {ended} of them after the end; it takes {seconds:.1f} s"

    def _whole(self):
        """Let the command end by itself; return how many seconds it takes."""
        if not self._command.ends:
            return _LONG
        started = time.monotonic()
        code, said = self._zygote.wait(self._start()[0], _PATIENCE)
        if code:
            raise Damaged(f"left alone it ends with {code}: {said[-1500:]}")
        return time.monotonic() - started

    def _start(self):
        arguments = self._inputs.arguments(self._command, self._output)
        return self._zygote.start(arguments, self._more), arguments

    def _signal(self, name, expected, pause):
        old = content(self._output)
        command, _ = self._start()
        time.sleep(pause)
        with contextlib.suppress(ProcessLookupError):
            # As people send them: a terminal to all processes, `kill` and `docker stop` to one.
            send = os.killpg if name == "SIGINT" else os.kill
            send(command, getattr(signal, name))
        code, said = self._zygote.wait(command)
        when = f"{name} after {pause:.2f} s"
        self._check_end(when, code, expected, said)
        self._check_places(when, old)
        if _living(command):
            os.killpg(command, signal.SIGKILL)
            raise Damaged(f"{when}: a process that it started lives on")
        return max(code, 0)

    def _check_end(self, when, code, expected, said):
        lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip()]
        # Once all is done, a signal ends the process at once.
        if code not in (0, expected, 128 - expected):
            raise Damaged(f"{when}: code {code}, and not {expected}: {said[-1500:]}")
        if any(word in said for word in ("Traceback", "Exception ignored", "Error")):
            raise Damaged(f"{when}: more than a line: {said[-3000:]}")
        if code == SIGNALS["SIGINT"] and lines[-1] != "kerasvit: interrupted":
            raise Damaged(f"{when}: the last line is {lines[-1:]}")

    def _check_places(self, when, old):
        remaining = leftovers(self._output) + leftovers(self._scratch, ())
        if remaining:
            raise Damaged(f"{when}: left behind: {remaining}")
        new = content(self._output)
        if set(old) - set(new):
            raise Damaged(f"{when}: lost {sorted(set(old) - set(new))}")
        for name in (name for name in new if new[name] != old.get(name)):
            check = _WHOLE.get(pathlib.PurePath(name).suffix)
            if check is not None:
                check(self._output / name)


def _living(session):
    """Tell whether processes of a session live; they have five seconds to end."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if not any(_is_of(session, process) for process in os.listdir("/proc")):
            return False
        time.sleep(0.1)
    return True


def _is_of(session, process):
    try:
        status = pathlib.Path("/proc", process, "stat").read_text()
    except OSError:
        return False
    # proc(5): after the name in parentheses the state, parent, group and session.
    state, _, _, own = status.rpartition(")")[2].split()[:4]
    return state not in "ZX" and int(own) == session
