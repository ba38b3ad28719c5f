"""The command `kerasvit`; `commands` holds one module a subcommand."""

from kerasvit.cli.main import main as main
