"""How long `kerasvit app` takes to start, beside what the import of Keras alone takes.

    python benchmarks/pages/app.py --rounds 3

Each round runs both one after the other, in processes of their own, so that a busy machine slows
both down.
"""

import argparse
import statistics
import subprocess
import sys
import time


def import_keras() -> float:
    """Return the seconds of a process that imports Keras and ends."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import keras"], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def start_app() -> float:
    """Return the seconds until the app has printed its address."""
    started = time.monotonic()
    command = [sys.executable, "-m", "kerasvit", "app", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"http://127.0.0.1:")
    seconds = time.monotonic() - started
    process.terminate()
    process.communicate()
    return seconds


def main() -> None:
    """Print both times of each round, and the median of the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    more = []
    for _ in range(parser.parse_args().rounds):
        keras, app = import_keras(), start_app()
        more.append(app - keras)
        print(f"import keras {keras:.1f} s, app {app:.1f} s")
    print(f"the app starts {statistics.median(more):.1f} s beyond the import of Keras (median)")


if __name__ == "__main__":
    main()
