"""A termination ends a command as an interrupt does: with its own code, after what must be undone.

`test_convert.py` sends both to a process that converts.
"""

import os
import signal

import pytest

from kerasvit.cli import main as command_line


@pytest.fixture
def terminated(monkeypatch):
    """Have `kerasvit list` end itself, and note what it does before it ends."""
    done = []

    def run(options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("went on")
        finally:
            done.append("tidied up")

    monkeypatch.setattr("kerasvit.cli.commands.list.run_list", run)
    return done


def test_a_termination_is_told_by_the_code_and_leaves_time_to_tidy_up(terminated):
    def fail(number, frame):
        raise AssertionError("SIGTERM was left as it is, and would have ended this process")

    previous = signal.signal(signal.SIGTERM, fail)
    try:
        with pytest.raises(SystemExit) as ended:
            command_line(["list"])
        assert ended.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is fail
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert terminated == ["tidied up"]
