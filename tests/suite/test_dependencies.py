"""What is imported is declared, and bounds, their documentation and the locked set agree."""

import ast
import pathlib
import re
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PAGE = ROOT / "docs" / "development" / "dependencies.md"
LOCK = ROOT / ".ci" / "constraints.txt"

# What is imported by another name than it is installed by.
NAMES = {"PIL": "pillow", "skimage": "scikit-image", "ai_edge_litert": "ai-edge-litert"}
# What comes with a package of which it is a part.
PARTS = {"torchvision": "timm", "IPython": "ipykernel", "starlette": "gradio", "absl": "keras"}
PARTS |= {"flatbuffers": "ai-edge-litert", "ml_dtypes": "keras"}


def _requirements(*groups):
    return {canonicalize_name(r.name): r for group in groups for r in map(Requirement, group)}


def _lowest(requirement):
    return next(one.version for one in requirement.specifier if one.operator == ">=")


def _versions(text):
    pairs = re.findall(r"([\w.-]+)==([\w.]+)", text)
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_package_that_is_imported_is_declared():
    declared = {"kerasvit", *_requirements(PROJECT["dependencies"], *EXTRAS.values())}
    missing = set()
    for path in [*(ROOT / "kerasvit").rglob("*.py"), *(ROOT / "conversion").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
                name = canonicalize_name(PARTS.get(top, NAMES.get(top, top)))
                if name not in declared:
                    missing.add((path.name, top))
    assert not missing


@pytest.mark.parametrize("name", _requirements(PROJECT["dependencies"]))
def test_the_oldest_version_is_the_one_that_the_page_tells_to_test(name):
    lowest = _lowest(_requirements(PROJECT["dependencies"])[name])
    command = PAGE.read_text(encoding="utf-8").partition("## A locked set")[0]
    tested = Version(_versions(command)[name])
    assert tested.release[: len(Version(lowest).release)] == Version(lowest).release


def test_the_locked_versions_are_within_the_ranges():
    locked = _versions(LOCK.read_text())
    assert len(locked) > 150
    for name, requirement in _requirements(PROJECT["dependencies"], EXTRAS["test"]).items():
        if name != "kerasvit":
            assert requirement.specifier.contains(locked[name]), name
