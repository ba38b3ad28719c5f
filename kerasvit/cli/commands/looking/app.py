"""`kerasvit app`: a page on which to drop pictures, on this computer alone."""

import argparse

from kerasvit.cli.options import add_precision
from kerasvit.cli.speech import say

_PORTS = (1, 65535)


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "app",
        parents=[common],
        help="a page to drop pictures on, on this computer alone",
        epilog='It needs the extra "app": pip install "kerasvit[app]"',
    )
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        help="a .keras file of kerasvit, a folder of them, or a release; may be given several "
        "times; the models in the package are offered in any case",
    )
    add_precision(parser)
    parser.add_argument(
        "--port", type=_port, help="where the page is served; defaults to 7860 or the next free one"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )
    parser.set_defaults(run=run, needs_keras=True)


def _port(text: str) -> int:
    if not (text.isdecimal() and _PORTS[0] <= int(text) <= _PORTS[1]):
        raise argparse.ArgumentTypeError(
            f"must be from {_PORTS[0]} to {_PORTS[1]}. Received: {text}"
        )
    return int(text)


def run(options) -> int:
    """Serve the page until it is interrupted."""
    from kerasvit.app.server import serve
    from kerasvit.memory import reuse_memory

    reuse_memory()
    serve(
        options.model,
        options.port,
        not options.no_browser,
        lambda line: say(line, flush=True),
        options.precision,
    )
    return 0
