"""The command line run inside the test process: its exit code and what it prints."""

import dataclasses
import functools
import pathlib
import unittest.mock

import numpy as np
import pytest
from PIL import Image

from kerasvit.cli import main


@pytest.fixture(scope="session", autouse=True)
def compile_quickly(quick_compilation):
    """See `quick_compilation`."""


@pytest.fixture(scope="session", autouse=True)
def shipped_model_is_read_once():
    """Keep the shipped model in memory: each command of a test would read it anew."""
    from kerasvit import pretrained

    read = functools.cache(lambda release: pretrained.load(_file_of(release)))

    def load(release, arguments):
        return pretrained._viewed(read(release.name), arguments)

    with unittest.mock.patch.object(pretrained, "_load_embedded", load):
        yield


def _file_of(release):
    import kerasvit

    return pathlib.Path(kerasvit.__file__).parent / "pretrained" / f"{release}.keras"


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


@pytest.fixture
def reuse_memory():
    """What commands that run a model call, and the tests' process does without."""
    with unittest.mock.patch("kerasvit.memory.reuse_memory") as mock:
        yield mock


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


@pytest.fixture(scope="session")
def small_vit(tmp_path_factory, preprocessing_record) -> pathlib.Path:
    """A `.keras` file of a distilled ViT with 2 blocks of 2 heads on patches of 8 pixels."""
    import keras

    import kerasvit

    names = ["ant", "bee", "cat"]
    # A random start takes seconds on some backends, and is replaced anyway.
    start = unittest.mock.patch.object(
        keras.initializers.TruncatedNormal, "__call__", lambda _, shape, dtype=None: np.zeros(shape)
    )
    with start:
        model = kerasvit.VisionTransformer(
            image_shape=(32, 48, 3),
            patch_size=8,
            num_classes=3,
            hidden_dim=16,
            num_layers=2,
            num_heads=2,
            mlp_dim=16,
            use_distillation_token=True,
            record={"preprocessing": preprocessing_record(32, 48), "class_names": names},
        )
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.5, weight.shape).astype("float32"))
    path = tmp_path_factory.mktemp("model") / "small_vit.keras"
    model.save(path)
    return path
