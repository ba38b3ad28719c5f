"""A process with all imported, from which commands are forked; each ends as `kerasvit` does.

Reads orders from standard input, a line of JSON each: arguments, environment, file for what it
says. Answers with the process' number, then with how it ended.
"""

import json
import os
import signal
import sys


def ordered():
    """Return the arguments of a command, in its own process; None where there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        command = os.fork()
        if command == 0:
            _become(order)
            return order["arguments"]
        _answer(command)
        _answer(os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]))
    return None


def _answer(number):
    print(number, flush=True)


def _become(order):
    os.setsid()
    os.environ.update(order["environment"])
    # As in a terminal: who runs in the background of a shell may have been deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDWR)
    for new, old in ((nothing, 0), (nothing, 1), (said, 2)):
        os.dup2(new, old)


if __name__ == "__main__":
    import keras  # noqa: F401
    import torch  # noqa: F401

    import kerasvit.conversion
    import kerasvit.look
    import kerasvit.training.run.train  # noqa: F401
    from kerasvit.cli import main

    arguments = ordered()
    if arguments is not None:
        sys.argv = ["kerasvit", *arguments]
        sys.exit(main())
