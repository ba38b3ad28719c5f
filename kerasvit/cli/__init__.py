"""The command `kerasvit`; each module beside this one holds one of its subcommands."""

from kerasvit.cli.main import main as main
