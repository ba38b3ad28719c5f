"""Row 16 of the fault table: killed at any moment of a save, the file is the old or the new one."""

import os
import subprocess
import sys

SCRIPT = """
import os, random, signal, sys, time, zipfile
import keras
import kerasvit

path, kills = sys.argv[1], int(sys.argv[2])
model = kerasvit.CaiT((16, 16, 3), 8, 3, 12, 2, 1, 3, 20)

def fill(value):
    for weight in model.weights:
        weight.assign(weight * 0 + value)

def write():
    for value in range(1, 10**6):
        fill(value)
        model.save(path)

fill(0)
start = time.perf_counter()
model.save(path)
duration = time.perf_counter() - start
random.seed(0)
for _ in range(kills):
    writer = os.fork()
    if writer == 0:
        write()
    # The writer writes without a rest; on a busy machine not for minutes.
    time.sleep(random.uniform(0, min(3 * duration, 2)))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    assert zipfile.ZipFile(path).testzip() is None
    values = {float(one) for w in keras.saving.load_model(path).get_weights() for one in w.flat}
    assert len(values) == 1, values
    print("complete", int(values.pop()))
"""


def test_twenty_kills_leave_twenty_complete_files(tmp_path):
    """One process with everything imported forks the writers, so that this takes seconds."""
    path = tmp_path / "model.keras"
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), "20"],
        capture_output=True,
        text=True,
        # PyTorch alone has no threads of its own here that a fork would lose.
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    written = [int(line.split()[1]) for line in result.stdout.splitlines()]
    assert len(written) == 20
    # Some kills came after a new file was in place, or none of them would mean anything.
    assert len(set(written)) > 1
    left = [entry.name for entry in tmp_path.iterdir() if entry != path]
    assert all(name.startswith(".kerasvit-") for name in left)
