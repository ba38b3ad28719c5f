import pathlib
import shutil

import pytest

import kerasvit
from kerasvit.app.shelf import ModelShelf
from kerasvit.errors import InputError, UsageError

SHIPPED = [
    "cait_nano_patch4_32.cifar10",
    "vit_nano_patch4_32.cifar10",
    "xcit_nano_patch4_32.cifar10",
    "vit_nano_patch4_32.cifar10_rotary",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folders that each hold a model of the same name, and something else."""
    root = tmp_path_factory.mktemp("models")
    shipped = pathlib.Path(kerasvit.__file__).parent / "pretrained" / f"{SHIPPED[0]}.keras"
    for name in ("one", "two"):
        (root / name).mkdir()
        shutil.copy(shipped, root / name / "mine.keras")
    (root / "one" / "notes.txt").write_text("no model")
    return root


def test_the_models_in_the_package_are_offered_by_themselves():
    assert ModelShelf().names == SHIPPED


def test_files_folders_and_releases_come_first_and_names_tell_them_apart(folder):
    sources = [str(folder / "one"), str(folder / "two" / "mine.keras"), "dino_vits8", SHIPPED[1]]
    names = ModelShelf(sources).names
    assert names == ["mine", "two/mine", "dino_vits8", SHIPPED[1], SHIPPED[0], *SHIPPED[2:]]


def test_a_model_is_loaded_once(folder):
    shelf = ModelShelf([str(folder / "one")])
    assert shelf.get("mine") is shelf.get("mine")


@pytest.mark.parametrize("name", ["../mine", "/etc/passwd", "dino_vits8", "https://a.example/x"])
def test_a_visitor_names_no_file_and_no_other_release(folder, name):
    with pytest.raises(UsageError, match="does not offer this model"):
        ModelShelf([str(folder / "one")]).get(name)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nothing.keras", InputError, "must be a file"),
        ("dino_vits9", UsageError, "Did you mean"),
        ("empty", InputError, "has no .keras file"),
    ],
)
def test_what_is_not_there_is_refused_at_the_start(tmp_path, monkeypatch, source, error, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        ModelShelf([source])
