"""The option `--method`, whose help names the saliency methods there are."""

import argparse
from collections.abc import Sequence
from typing import Any


class _Names:
    """The methods' names, read only when a help text is written: every command parses options."""

    def __str__(self) -> str:
        from kerasvit.saliency import METHODS

        return ", ".join(METHODS)


class MethodsAction(argparse.Action):
    """Stores a text; `%(methods)s` in its help stands for the methods' names."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.methods = _Names()
        super().__init__(*arguments, **keywords)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep the text."""
        setattr(namespace, self.dest, values)


def add_methods(
    parser: argparse.ArgumentParser,
    *names: str,
    default: str | None,
    hint: str,
    usual: str | None = None,
) -> None:
    """Add `--method`.

    Args:
        parser: of the command.
        *names: of the option, without the hyphens.
        default: the methods where it is left out.
        hint: continues the help.
        usual: what the help says of the default, if not its value.
    """
    parser.add_argument(
        *(f"--{name}" for name in names),
        action=MethodsAction,
        default=default,
        metavar="METHOD,...",
        help=f"one or several of %(methods)s; defaults to {usual or default}; {hint}; what each "
        "shows and which options it takes: kerasvit list --methods",
    )
