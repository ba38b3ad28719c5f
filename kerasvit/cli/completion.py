"""Scripts that complete commands, options and names in a shell; they start no Python to do so."""

import argparse
import dataclasses
import shlex
from collections.abc import Iterator, Mapping

# What an option or an argument of a command takes, by its destination; "" for any command. The
# choices that the parser knows are found in it.
KINDS: dict[tuple[str, str], str] = {
    ("", "model"): "releases",
    ("", "against"): "releases",
    ("convert", "model"): "models",
    ("convert", "source"): "releases",
    ("verify", "source"): "releases",
    ("info", "name"): "names",
    ("list", "pattern"): "names",
    ("", "method"): "methods",
    ("", "methods"): "methods",
    ("", "reference"): "methods",
    ("", "metrics"): "metrics",
    ("", "probes"): "probes",
    ("train", "recipe"): "recipes",
    ("saliency", "format"): "formats",
    ("patches", "format"): "figures",
    ("export", "format"): "targets",
}


@dataclasses.dataclass(frozen=True)
class Command:
    """What can follow a command's name.

    Args:
        name: of the command.
        about: what it does.
        options: by what is typed, the values that may follow; None where nothing does, empty for a
            file or a text.
        arguments: what may stand for itself, beside files.
    """

    name: str
    about: str
    options: Mapping[str, tuple[str, ...] | None]
    arguments: tuple[str, ...]


def commands_of(
    subparsers: argparse._SubParsersAction, names: Mapping[str, tuple[str, ...]]
) -> list[Command]:
    """Return the commands of a program.

    Args:
        subparsers: what its parser's `add_subparsers` returned.
        names: the values of each kind in `KINDS`.
    """
    abouts = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return [
        Command(
            name,
            abouts.get(name, ""),
            dict(_options(name, own, names)),
            tuple(_arguments(name, own, names)),
        )
        for name, own in subparsers.choices.items()
    ]


def _options(
    command: str, parser: argparse.ArgumentParser, names: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    for action in parser._actions:
        values = None if action.nargs == 0 else _values(command, action, names)
        for option in action.option_strings:
            yield option, values


def _arguments(
    command: str, parser: argparse.ArgumentParser, names: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for action in parser._actions:
        if not action.option_strings:
            yield from _values(command, action, names)


def _values(
    command: str, action: argparse.Action, names: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    if action.choices is not None:
        return tuple(map(str, action.choices))
    kind = KINDS.get((command, action.dest)) or KINDS.get(("", action.dest))
    return names[kind] if kind and action.nargs in (None, "?", "*", "+") else ()


_BASH = """\
# Completion of kerasvit. In ~/.bashrc: eval "$(kerasvit completion bash)"
_kerasvit() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} words='' values='' start=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '%(commands)s --help --version' -- "$current"))
        return
    fi
    case $command in
%(options)s
    esac
    case $command:$previous in
%(values)s
    esac
    case $previous in
    -*) if [ -n "$values" ]; then words=$values; fi ;;
    esac
    case $current in
    -*) ;;
    *,*) start=${current%%,*},; current=${current##*,} ;;
    esac
    COMPREPLY=($(compgen -P "$start" -W "$words" -- "$current"))
}
complete -o default -F _kerasvit kerasvit
"""


def bash(commands: list[Command]) -> str:
    """Return a script for bash: words of the table, else the names of files."""
    options, values, lists = [], [], _Lists()
    for command in commands:
        words = lists.of(command.arguments)
        options.append(f'    {command.name}) words="{" ".join(command.options)} {words}" ;;')
        for option, known in command.options.items():
            if known:
                values.append(f'    {command.name}:{option}) values="{lists.of(known)}" ;;')
            elif known is not None:
                # A file, or a text of the user's own.
                values.append(f"    {command.name}:{option}) return ;;")
    script = _BASH % {
        "commands": " ".join(command.name for command in commands),
        "options": "\n".join(options),
        "values": "\n".join(values),
    }
    heading, body = script.split("\n", 1)
    return "\n".join([heading, *lists.lines, body])


class _Lists:
    """Long lists of words, which several options take, as variables of the script."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[tuple[str, ...], str] = {}

    def of(self, words: tuple[str, ...]) -> str:
        """Return words, or the variable that holds them."""
        if len(words) < 8:
            return " ".join(words)
        if words not in self.names:
            name = self.names[words] = f"_kerasvit_words_{len(self.names)}"
            self.lines.append(f"{name}={shlex.quote(' '.join(words))}")
        return f"${self.names[words]}"


def zsh(commands: list[Command]) -> str:
    """Return a script for zsh, which runs that of bash."""
    heading, body = bash(commands).split("\n", 1)
    heading = heading.replace("bashrc", "zshrc").replace("completion bash", "completion zsh")
    load = "autoload -Uz compinit bashcompinit\n(( $+functions[compdef] )) || compinit\n"
    return f"{heading}\n{load}bashcompinit\n{body}"


def fish(commands: list[Command]) -> str:
    """Return a script for fish."""
    lines = ["# Completion of kerasvit, for ~/.config/fish/completions/kerasvit.fish"]
    for command in commands:
        about = shlex.quote(command.about)
        lines.append(
            f"complete -c kerasvit -n __fish_use_subcommand -f -a {command.name} -d {about}"
        )
        condition = f"complete -c kerasvit -n '__fish_seen_subcommand_from {command.name}'"
        for option, known in command.options.items():
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            takes = "" if known is None else " -r"
            listed = f" -f -a {shlex.quote(' '.join(known))}" if known else ""
            lines.append(f"{condition} {kind}{takes}{listed}")
        if command.arguments:
            lines.append(f"{condition} -a {shlex.quote(' '.join(command.arguments))}")
    return "\n".join(lines) + "\n"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
