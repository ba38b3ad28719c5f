"""What goes to PyPI: the wheel and the source distribution, their sizes and what they say."""

import email
import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

import kerasvit

ROOT = pathlib.Path(__file__).resolve().parents[1]
LARGEST_WHEEL = 12e6


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Both files, built of the files that git knows, as `python -m build` does."""
    pytest.importorskip("build")
    tree, output = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False).stdout
    if not names:
        pytest.skip("needs a checkout of git")
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "-o", str(output), str(tree)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    (wheel,), (source,) = output.glob("*.whl"), output.glob("*.tar.gz")
    return wheel, source


def test_both_pass_twine(distributions):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_wheel_is_small_and_says_its_version(distributions):
    wheel, _ = distributions
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == kerasvit.__version__
    assert "Private :: Do Not Upload" not in metadata.get_all("Classifier")


def test_the_source_holds_tests_recipes_and_pages(distributions):
    _, source = distributions
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "tests/all_backends.py",
        "configs/cifar10_cait_nano.toml",
        "docs/conf.py",
        "examples/probing.ipynb",
        "benchmarks/speed.py",
        "CHANGELOG.md",
        "CITATION.cff",
    } <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.M)
    assert cited[1] == kerasvit.__version__
