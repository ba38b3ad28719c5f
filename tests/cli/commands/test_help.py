"""Every help shows examples; they are parsed, and those that need no file of one's own are run."""

import os
import shlex

import pytest

from kerasvit.cli.examples import EXAMPLES
from kerasvit.cli.main import COMMANDS, make_parser

LINES = [line for examples in EXAMPLES.values() for line, _ in examples]
# What needs nothing but the package, and scikit-image's photographs.
RUNNABLE = [
    line
    for line in LINES
    if "sample:" in line or line.startswith(("kerasvit list", "kerasvit info dino"))
]


def arguments_of(line):
    words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
    words = words[: words.index(">")] if ">" in words else words
    assert words[0] == "kerasvit"
    return words[1:]


def test_every_command_has_examples():
    parser = make_parser()
    assert "examples:" in parser.format_help()
    (choices,) = (action.choices for action in parser._actions if action.dest == "command")
    assert len(choices) == len(COMMANDS)
    for name, own in choices.items():
        text = own.format_help()
        for line, about in EXAMPLES[name]:
            assert f"\n  {line}\n" in text
            assert about in text
    assert set(EXAMPLES) == {"", *choices}


@pytest.mark.parametrize("line", LINES)
def test_every_example_is_understood(line):
    arguments = arguments_of(line)
    options = make_parser().parse_args(arguments)
    assert options.command == arguments[0]


@pytest.mark.parametrize("line", RUNNABLE)
def test_examples_run(line, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments_of(line))
    assert result.code == 0, result.err
    assert result.out
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_names_of_methods_and_formats_in_examples_exist():
    from kerasvit.look.checking import FORMATS
    from kerasvit.saliency import METHODS

    for line in LINES:
        options = vars(make_parser().parse_args(arguments_of(line)))
        if options["command"] == "saliency":
            assert set((options["format"] or "png").split(",")) <= set(FORMATS)
        for name in ("method", "methods"):
            chosen = options.get(name)
            if isinstance(chosen, str):
                assert set(chosen.split(",")) <= set(METHODS)
