"""The command `kerasvit`: list, info, convert, predict, saliency."""

from kerasvit.cli.main import main as main
