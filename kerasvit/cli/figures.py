"""The options of figures on the command line."""

import argparse


def add_figure(parser: argparse.ArgumentParser) -> None:
    """Add `--dpi` and `--title`."""
    parser.add_argument(
        "--dpi",
        metavar="N",
        help="dots an inch of sheets, which are 7.04 inches wide, and of overlays, which keep the "
        "photograph's pixels; from 30 to 1200, defaults to 250",
    )
    parser.add_argument(
        "--title", help="of sheets and viewers, '' for none; defaults to the file's name"
    )
