"""Parsing the command line, choosing the backend, and turning errors into exit codes."""

import argparse
import logging
import os
import signal
import traceback
from collections.abc import Sequence
from typing import NoReturn

from kerasvit import __version__
from kerasvit.backend import BACKENDS, choose_backend
from kerasvit.cli.commands import completion, info
from kerasvit.cli.commands import list as list_command
from kerasvit.cli.commands.learning import evaluate, finetune, train
from kerasvit.cli.commands.looking import (
    app,
    evaluate_saliency,
    features,
    merge,
    patches,
    predict,
    probe,
    saliency,
)
from kerasvit.cli.commands.weights import convert, export, export_weights, push, verify
from kerasvit.cli.compiled import keep_compiled
from kerasvit.cli.examples import add_examples
from kerasvit.cli.speech import finish, forget_output, tell
from kerasvit.errors import KerasViTError, OutputError, UsageError
from kerasvit.memory import is_out_of_memory
from kerasvit.temporary import without_empty_folders
from kerasvit.texts.printable import printable

COMMANDS = (
    list_command,
    info,
    convert,
    verify,
    export,
    export_weights,
    push,
    predict,
    saliency,
    features,
    patches,
    merge,
    evaluate_saliency,
    probe,
    train,
    finetune,
    evaluate,
    app,
    completion,
)
BUG = 70
# What takes less memory, by command.
_LESS_MEMORY = {
    "train": "smaller batches (--set schedule.batch_size=...) or run.rematerialise=true",
    "finetune": "smaller batches (--batch-size) or images (--image-size)",
    "evaluate": "smaller batches (--batch-size) or images (--image-size)",
    "evaluate-saliency": "smaller batches (--batch-size) or images (--resize)",
    "app": "another model, or smaller images",
}
_SMALLER_IMAGES = 'smaller images (--resize), fewer classes or attention="cls"'
INTERRUPTED = 130
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: those after the program's name; None for the process' own.

    Returns:
        The exit code: 0; 2 usage; 3 bad input; 4 download; 5 write; 70 a bug; 130 and 143 after an
        interrupt or a termination, when nothing half-written is left.
    """
    options = _parsed(arguments)
    _quieten()
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(options)
        finish()
        return code
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough.
        forget_output()
        return 0
    except KerasViTError as error:
        if isinstance(error, OutputError):
            forget_output()
        return _complain(options, error, str(error), error.exit_code)
    except KeyboardInterrupt:
        _hear_no_more(arguments)
        return _complain(options, None, "interrupted", INTERRUPTED)
    except Exception as error:
        if is_out_of_memory(error):
            advice = _LESS_MEMORY.get(options.command, _SMALLER_IMAGES)
            message = f"out of memory. Received: {_received(error)}. Use {advice}"
            return _complain(options, error, message, UsageError.exit_code)
        message = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; see --debug)"
        return _complain(options, error, message, BUG)
    finally:
        _hear_no_more(arguments)
        signal.signal(signal.SIGTERM, previous)


def _hear_no_more(arguments: Sequence[str] | None) -> None:
    """Let Ctrl-C end this process at once, where the command was its own: all is tidied up.

    The end of Python would show where it was disturbed.
    """
    if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return make_parser().parse_args(arguments)
    except SystemExit:
        try:
            finish()
        except OutputError as error:
            forget_output()
            tell(f"kerasvit: {error}")
            raise SystemExit(error.exit_code) from None
        raise


def _run(options: argparse.Namespace) -> int:
    if options.needs_keras and choose_backend(options.backend) == "jax":
        keep_compiled()
    with without_empty_folders():
        return options.run(options) or 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors repeat what was typed as it can be shown."""

    def error(self, message: str) -> NoReturn:
        """Complain and end."""
        super().error(printable(message))


class _Formatter(logging.Formatter):
    """Log records in one line, as they can be shown."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record), lines=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument(
        "--backend", choices=BACKENDS, help="instead of $KERAS_BACKEND, or an installed one"
    )
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = _Parser(
        prog="kerasvit", description="Vision Transformers for Keras 3 that show where they look."
    )
    parser.add_argument("--version", action="version", version=f"kerasvit {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parsers(subparsers, common)
    add_examples(parser, "")
    for name, own in subparsers.choices.items():
        add_examples(own, name)
    return parser


def _quieten() -> None:
    """Keep TensorFlow's start-up messages off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("kerasvit: %(message)s"))
    # What it says of malformed headers, we say in one line.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def _terminate(number, frame):
    raise SystemExit(TERMINATED)


def _received(error: Exception) -> str:
    """Return what a system or a backend says, in a line that is no longer than one."""
    text = " ".join(str(error).split())
    return (text[:160].rstrip(". ") or type(error).__name__) + ("..." if len(text) > 160 else "")


def _complain(options, error: BaseException | None, message: str, code: int) -> int:
    if options.debug and error is not None:
        for line in "".join(traceback.format_exception(error)).split("\n"):
            tell(line)
    tell(f"kerasvit: {message}")
    return code
