"""The command line run inside the test process: its exit code and what it prints."""

import dataclasses
import pathlib

import numpy as np
import pytest
from PIL import Image

from kerasvit.cli import main


@dataclasses.dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Return a function that runs one command."""

    def command(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return command


@pytest.fixture
def photograph(tmp_path) -> pathlib.Path:
    """A picture of 96x144 pixels with something in it."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, size=(12, 18, 3), dtype=np.uint8)
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels).resize((144, 96), Image.Resampling.BICUBIC).save(path)
    return path


def assert_one_line(text: str, *needles: str) -> None:
    """Check that an error is one line, and names what it must."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("kerasvit: ")
    for needle in needles:
        assert needle in lines[0], text


@pytest.fixture
def one_line():
    """Return the check of an error message."""
    return assert_one_line
