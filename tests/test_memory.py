"""What the C library does with freed memory, seen from outside in a process of its own."""

import platform
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own settings"),
]

PROGRAM = """
import sys
sys.argv[0] = "kerasvit"  # the command imports no backend by itself
import kerasvit.memory, numpy
getattr(kerasvit.memory, {setting!r})()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
block = numpy.ones({mebibytes} * 2**18, "float32")
before = resident()
del block
print(before - resident())
"""


@pytest.mark.parametrize(
    ("setting", "mebibytes", "returned"),
    [("reuse_memory", 64, False), ("reuse_memory", 2200, True), ("map_large_blocks", 64, True)],
)
def test_freed_memory_is_kept_or_returned(setting, mebibytes, returned):
    """Memory that is freed stays with the process, or goes back to the system."""
    program = PROGRAM.format(setting=setting, mebibytes=mebibytes)
    command = [sys.executable, "-c", program]
    freed = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert freed > 60 if returned else freed < 4


def test_it_says_whether_the_setting_was_taken():
    program = "import sys; sys.argv[0] = 'kerasvit'; import kerasvit.memory as m; "
    program += "print(m.reuse_memory())"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "True"
