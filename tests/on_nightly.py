"""Run the tests of layers and models on tomorrow's Keras: `python tests/on_nightly.py`.

Run it weekly, and before the upper bound of Keras in `pyproject.toml` is raised. It installs
keras-nightly into a folder of its own, over the environment that runs this file and without
touching it, and there
1. makes all architectures small, and compares their logits with those of the Keras installed;
2. runs the tests of layers, models and optimisers.

    python tests/on_nightly.py                                   # the newest, on PyTorch
    python tests/on_nightly.py --version 3.16.0.dev2026102704
    KERAS_BACKEND=jax python tests/on_nightly.py -- tests/layers -x    # other tests instead
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOGITS = "tests/models/test_small_architectures.py"
TESTS = ("tests/layers", "tests/models", "tests/training/test_optimizers.py")
# Two versions may add up in another order, over one block.
TOLERANCE = 1e-5


def main() -> int:
    """Compare, then test; return 0 if both went well."""
    parser = argparse.ArgumentParser(description="Test on keras-nightly.")
    parser.add_argument("--version", help="of keras-nightly, instead of the newest")
    parser.add_argument("pytest", nargs="*", help=f"arguments of pytest, instead of {TESTS}")
    options = parser.parse_args()
    environment = {"KERAS_BACKEND": "torch", **os.environ}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        install(folder / "keras", options.version)
        nightly = {**environment, "PYTHONPATH": str(folder / "keras")}
        run(["-c", "import keras; print('Keras', keras.__version__)"], nightly)
        wrong = differing(folder, environment, nightly)
        print(f"{len(wrong)} architectures differ: {wrong}" if wrong else "All logits agree.")
        code = run(["-m", "pytest", *(options.pytest or TESTS)], nightly, check=False)
    return int(bool(wrong) or code != 0)


def install(folder: pathlib.Path, version: str | None) -> None:
    """Install keras-nightly, and nothing that it depends on, into a folder."""
    package = f"keras-nightly=={version}" if version else "keras-nightly"
    run(["-m", "pip", "install", "-q", "--no-deps", "--pre", "--target", str(folder), package])


def differing(folder: pathlib.Path, today: dict[str, str], nightly: dict[str, str]) -> list[str]:
    """Return the architectures whose logits differ between two environments."""
    results = []
    for name, environment in (("today", today), ("nightly", nightly)):
        path = folder / f"{name}.npz"
        run([LOGITS, str(path)], environment)
        results.append(np.load(path))
    ours, theirs = results
    assert set(ours.files) == set(theirs.files)
    return [name for name in ours.files if not _agree(ours[name], theirs[name])]


def _agree(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * np.abs(ours).max())


def run(arguments: list[str], environment: dict[str, str] | None = None, check: bool = True) -> int:
    """Run Python in the root of the repository."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=check).returncode


if __name__ == "__main__":
    sys.exit(main())
