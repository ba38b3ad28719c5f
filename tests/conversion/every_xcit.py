"""Every XCiT of timm: parity at a small size, and the tensors of the whole one.

    KERAS_BACKEND=torch python tests/conversion/every_xcit.py

The suite runs a spread of them, see `test_every_architecture.py`. Here the tests of that file run for
all: weights and running statistics at random, rectangles, two pictures, timm's attention unfused.
"""

import sys

import pytest
import test_every_architecture


def main() -> int:
    """Run both tests for all names; return pytest's exit code."""
    names = [name for name in test_every_architecture.ALL_NAMES if name.startswith("xcit")]
    print(f"{len(names)} architectures")
    return pytest.main(["-q", "-p", __name__, test_every_architecture.__file__, "-k", "xcit"])


def pytest_generate_tests(metafunc):
    """Take all names in the place of the spread."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.args[0] == "name":
            names = [n for n in test_every_architecture.ALL_NAMES if n.startswith("xcit")]
            mark.args[1][:] = names


if __name__ == "__main__":
    sys.exit(main())
