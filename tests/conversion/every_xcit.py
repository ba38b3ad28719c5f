"""Every XCiT of timm: parity at a small size, and the tensors of the whole one.

    KERAS_BACKEND=torch python tests/conversion/every_xcit.py

The suite runs a spread of them, see `test_every_architecture.py`, whose tests run here for all:
weights and running statistics at random, rectangles, two pictures, timm's attention unfused.
"""

import os
import pathlib
import subprocess
import sys

if __name__ == "__main__":
    tests = pathlib.Path(__file__).with_name("test_every_architecture.py")
    command = [sys.executable, "-m", "pytest", "-q", str(tests), "-k", "xcit"]
    environment = {**os.environ, "KERASVIT_EVERY_XCIT": "1"}
    sys.exit(subprocess.run(command, env=environment).returncode)
