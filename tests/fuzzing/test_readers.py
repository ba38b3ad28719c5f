"""A sample of the attack on every reader; `python tests/fuzzing` is the whole of it."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent
# Those that start in no time; video needs a program for each input.
QUICK = "pth,pth-legacy,safetensors,index,npz,checksums,png,jpeg,gif,webp,tiff,bmp,jpeg2000"
QUICK += ",animation,recipes,changes,names,labels,manifests,configs,arguments"


@pytest.mark.parametrize(("readers", "inputs"), [(QUICK, 25), ("hdf5,config,saliency,state", 6)])
def test_damaged_files_and_words_at_random_are_refused_in_one_line(readers, inputs):
    options = ["--readers", readers, "--inputs", str(inputs), "--seed", "7"]
    command = [sys.executable, "-W", "ignore", str(FOLDER), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].endswith(", 0 kinds of faults")


def test_a_fault_is_noticed(tmp_path):
    """A hang, a crash, a stray exception and an error of ours, each told apart."""
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from running import Reader, attack
from kerasvit.errors import InputError
def read(data):
    if data == b"0": os.kill(os.getpid(), 11)
    if data == b"1": {}["x"]
    if data == b"2":
        while True: pass
    if data == b"3": raise InputError("two" + chr(10) + "lines")
    raise InputError("refused")
def make(folder):
    return Reader([], lambda draw, seeds: b"%d" % draw.randrange(6), read, 0.3, False)
tally = attack("x", make, range(16), 0)
print(sorted(kind.split(" in ")[0] for kind in tally.faults), tally.inputs)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER)], capture_output=True, text=True, cwd=tmp_path
    )
    kinds = ["KeyError", "a message of several lines", "ended by SIGPROF", "ended by SIGSEGV"]
    assert done.stdout.strip() == f"{kinds} 16", done.stderr[-2000:]
