"""Parsing the command line, choosing the backend, and turning errors into exit codes."""

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from kerasvit import __version__
from kerasvit.backend import BACKENDS, choose_backend
from kerasvit.cli.commands import completion, info
from kerasvit.cli.commands import list as list_command
from kerasvit.cli.commands.learning import evaluate, finetune, train
from kerasvit.cli.commands.looking import (
    app,
    evaluate_saliency,
    merge,
    patches,
    predict,
    probe,
    saliency,
)
from kerasvit.cli.commands.weights import convert, export, export_weights, push, verify
from kerasvit.cli.examples import add_examples
from kerasvit.errors import KerasViTError
from kerasvit.temporary import without_empty_folders

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
    options = make_parser().parse_args(arguments)
    _quieten()
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        if options.needs_keras:
            choose_backend(options.backend)
        with without_empty_folders():
            return options.run(options) or 0
    except KerasViTError as error:
        return _complain(options, error, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain(options, None, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        message = 'out of memory; use smaller images: --resize, or attention="cls"'
        return _complain(options, error, message, BUG)
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; see --debug)"
        return _complain(options, error, message, BUG)
    finally:
        signal.signal(signal.SIGTERM, previous)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument(
        "--backend", choices=BACKENDS, help="instead of $KERAS_BACKEND, or an installed one"
    )
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
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
    logging.basicConfig(format="kerasvit: %(message)s", level=logging.WARNING)


def _terminate(number, frame):
    raise SystemExit(TERMINATED)


def _complain(options, error: BaseException | None, message: str, code: int) -> int:
    if options.debug and error is not None:
        traceback.print_exception(error)
    print(f"kerasvit: {message}", file=sys.stderr)
    return code
