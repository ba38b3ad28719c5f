"""The command line: every command with options and values at random, parsed, and run."""

import argparse
import contextlib
import io
import json

from mutating import WORDS, damaged, damaged_text
from running import Reader

CODES = (0, 2, 3, 4, 5)
_NUMBERS = ("0", "1", "2", "3", "0.5", "-1", "1e9", "16", "8", "0,1", "-1,0", "1x2", "cpu")


def _files(folder):
    """Make good and bad files, and return their names."""
    import weights
    from PIL import Image

    files = weights.keras_files(folder)
    (folder / "model.keras").write_bytes(files[0])
    (folder / "bad.keras").write_bytes(files[0][:-30])
    for name in ("pictures/cat/a.png", "pictures/dog/b.png", "c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), "teal").save(folder / name)
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (folder / "x.toml").write_text("[model]\nname = 3\n")
    (folder / "labels.csv").write_text("file,cat\ncat/a.png,1\n")
    names = ["model.keras", "bad.keras", "seed1.keras", "pictures", "c.jpg", "bad.png", "x.toml"]
    return [*names, "labels.csv", "missing.png", "out", "out.png", "out/new", ".", "c.jpg/x"]


def _value(draw, action, names):
    if action.choices and draw.random() < 0.85:
        return str(draw.choice(list(action.choices)))
    if action.default not in (None, argparse.SUPPRESS) and draw.random() < 0.3:
        return str(action.default)
    pool = draw.choice((names, names, _NUMBERS, WORDS, ("model.keras", "c.jpg", "rollout")))
    value = draw.choice(pool)
    if draw.random() < 0.1:
        value = damaged_text(draw, [value.encode()]).decode("utf-8", "replace")
    # Files outside the folder of the test are no business of it.
    return "x" if value.startswith(("/", "~")) or ".." in value else value[:300].replace("\0", "")


def _words(draw, parser, names):
    """Return words for a parser: positional ones mostly right, some options with values."""
    actions = [one for one in parser._actions if not isinstance(one, argparse._HelpAction)]
    options = [one for one in actions if one.option_strings]
    words = []
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            name = draw.choice(list(action.choices))
            return [*words, name, *_words(draw, action.choices[name], names)]
        if not action.option_strings and draw.random() < 0.93:
            words += [_value(draw, action, names) for _ in range(draw.choice((1, 1, 1, 2)))]
    for action in draw.sample(options, min(len(options), draw.choice((0, 1, 1, 2, 3, 6)))):
        words.append(draw.choice(action.option_strings))
        if action.nargs != 0 or draw.random() < 0.03:
            words.append(_value(draw, action, names))
    required = [one for one in options if one.required and draw.random() < 0.9]
    for action in required:
        words += [action.option_strings[-1], _value(draw, action, names)]
    return words


def _line(parser, names):
    def change(draw, seeds):
        words = _words(draw, parser, names)
        if draw.random() < 0.05:
            draw.shuffle(words)
        if draw.random() < 0.03:
            words.append(damaged(draw, [b"--output"]).decode("utf-8", "replace").replace("\0", ""))
        return json.dumps(words).encode()

    return change


def _code(run):
    try:
        return run()
    except SystemExit as end:
        return end.code


def _arguments(folder):
    from kerasvit.cli.main import make_parser

    parser = make_parser()

    def read(data):
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            code = _code(lambda: parser.parse_args(json.loads(data)) and 0)
        assert code in (0, 2), f"exit {code}"

    return Reader([b""], _line(parser, _files(folder)), read, are_good=False)


def _run(folder):
    import kerasvit.app.server
    from kerasvit.cli.main import main, make_parser

    kerasvit.app.server.serve = lambda *arguments: None

    def read(data):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
            code = _code(lambda: main(json.loads(data)))
        message = (err.getvalue().splitlines() or [""])[-1]
        assert code in CODES, f"exit {code}: {message}: {data.decode()}"
        assert not code or message.startswith("kerasvit"), f"exit {code}: {message}: {data}"
        if "Traceback" in err.getvalue():
            assert "--debug" in json.loads(data), "a traceback"

    return Reader([b""], _line(make_parser(), _files(folder)), read, seconds=60, are_good=False)


READERS = {"arguments": _arguments, "commands": _run}
