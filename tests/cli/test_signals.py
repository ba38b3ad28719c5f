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


@pytest.mark.parametrize("arguments", [None, ["list"]])
def test_a_second_interrupt_ends_the_process_at_once_where_it_is_the_command_s_own(
    monkeypatch, capsys, arguments
):
    """The end of Python showed a traceback of where it was disturbed, beside our line."""

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasvit.cli.commands.list.run_list", interrupted)
    monkeypatch.setattr("sys.argv", ["kerasvit", "list"])
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command_line(arguments) == 130
        ends_at_once = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ends_at_once is (arguments is None)
    assert capsys.readouterr().err == "kerasvit: interrupted\n"
