"""What it costs to refuse a file: memory and time of a process that does nothing else."""

import json
import subprocess
import sys

# The peak of the process itself: that of `resource` counts what it was forked from.
_CODE = """
import importlib, json, pathlib, re, sys, time
from kerasvit.errors import KerasViTError
module, _, name = sys.argv[1].rpartition(".")
read = getattr(importlib.import_module(module), name)
started, accepted = time.process_time(), []
for path in sys.argv[2:]:
    try:
        read(path)
        accepted.append(path)
    except KerasViTError:
        pass
status = pathlib.Path("/proc/self/status").read_text()
print(json.dumps({
    "accepted": accepted,
    "seconds": time.process_time() - started,
    "megabytes": int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) / 1024,
}))
"""


def cost_of_refusing(paths, function):
    """Return seconds of CPU, peak memory in MiB, and the files that were not refused.

    Args:
        paths: files, each read by the function.
        function: dotted name of a function of one path that raises a `KerasViTError`.
    """
    command = [sys.executable, "-c", _CODE, function, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])
