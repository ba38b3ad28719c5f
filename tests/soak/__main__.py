"""Long runs of the whole product: nothing lost, counts right, memory flat.

    python tests/soak [--parts pictures,app,training] [--pictures 10000] [--requests 200]
        [--clients 8] [--kills 20] [--seed 0]

A command beside the suite, half an hour long; `tests/soak/test_soak.py` is its sample inside. It
exits with 1 if something was lost, miscounted or grew. The figures of the last run are in
docs/development/robustness.md.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"KERASVIT_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import app
import pictures
import training
from watching import Lost

PARTS = {
    "pictures": lambda options, folder: pictures.soak(folder, options.pictures, options.seed),
    "app": lambda options, folder: app.soak(folder, options.requests, options.clients),
    "training": lambda options, folder: training.soak(folder, options.kills, options.seed),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    code = 0
    for part in options.parts.split(","):
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                for line in PARTS[part](options, pathlib.Path(folder)):
                    print(f"{part}: {line}", flush=True)
            except Lost as error:
                print(f"{part}: {error}")
                code = 1
        print(f"{part}: {time.monotonic() - started:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
