"""Attack every reader with damaged files, and the command line with words at random.

    python tests/fuzzing [--inputs 5000] [--readers pth,npz,...] [--seed 0] [--only NUMBER]

A command beside the suite; `tests/fuzzing/test_readers.py` is its sample inside. Good files are
made by the package itself and damaged by a seeded generator. Each must be read, and then be what
such a file may be, or be refused by an error of `kerasvit.errors` in one line; within five seconds
and some hundred megabytes, and without the end of the process. It exits with 1 otherwise.
`--only` tries one input again and keeps it in the file `fuzzed`.
"""

import argparse
import os
import pathlib
import random
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ |= {"OMP_NUM_THREADS": "1", "KERASVIT_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "100"}

import commands
import pictures
import texts
import weights
from running import attack, show

READERS = {**weights.READERS, **pictures.READERS, **texts.READERS, **commands.READERS}
# Each starts a process or a model, and gets a share of the inputs.
SLOW = {"video": 20, "commands": 10, "keras": 2, "state": 2}


def _keep(name, number, seed):
    """Write one input to a file."""
    target = pathlib.Path("fuzzed").resolve()
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        reader = READERS[name](pathlib.Path(folder))
        target.write_bytes(reader.change(random.Random(f"{seed} {name} {number}"), reader.seeds))
        os.chdir(before)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=5000, help="of each reader")
    parser.add_argument("--readers", default=",".join(READERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of one input that is tried again")
    options = parser.parse_args(arguments)
    import keras  # noqa: F401 - once, before the forks.

    import kerasvit  # noqa: F401

    faults = inputs = 0
    for name in options.readers.split(","):
        numbers = range(max(1, options.inputs // SLOW.get(name, 1)))
        if options.only is not None:
            numbers = range(options.only, options.only + 1)
            _keep(name, options.only, options.seed)
        tally = attack(name, READERS[name], numbers, options.seed)
        show(name, tally)
        inputs, faults = inputs + tally.inputs, faults + len(tally.faults)
    print(f"{inputs} inputs, {faults} kinds of faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
