"""A training run that is killed and goes on, again and again, against one that is left alone."""

import csv
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image
from watching import Memory, check

_EPOCHS, _STEPS = 24, 20
_RECIPE = """
[model]
name = "cait_nano_patch4_32"
arguments = {{ hidden_dim = 16, num_layers = 2, num_class_layers = 1, num_heads = 2, mlp_dim = 16 }}
[data]
path = "{data}"
[preprocessing]
image_size = [8, 8]
crop_fraction = 1.0
[augmentation]
crop = "padded"
padding = 2
mixup = 0.8
[optimizer]
ema_momentum = 0.9
[schedule]
epochs = {epochs}
batch_size = 8
warmup_epochs = 1
[run]
tensorboard = false
test_batch_size = 6
checkpoint_steps = 7
"""


def soak(folder, kills, seed):
    """Kill a run so often; yield what to say of it."""
    recipe = write_recipe(folder)
    whole, parts = folder / "whole", folder / "parts"
    started = time.monotonic()
    process = _train(recipe, whole)
    progress = lambda: _epochs(whole) / _EPOCHS  # noqa: E731 - for the one call below
    with Memory(process.pid, progress) as memory:
        check(process.wait() == 0, "the run that was left alone failed")
    seconds = time.monotonic() - started
    yield f"{_EPOCHS} epochs of {_STEPS} steps; {memory.report()}"
    resumed = _kill_and_resume(recipe, parts, kills, seconds, random.Random(seed))
    yield f"{kills} kills, {resumed} of them within a run that had a state"
    check(_same(whole, parts), "the killed run ended elsewhere")
    left = [path.name for path in parts.rglob(".kerasvit*")]
    check(not left, f"left behind: {left}")
    yield "weights, best model and log equal those of the run that was left alone, bit for bit"


def write_recipe(folder):
    """Write pictures of three colours, and the recipe."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 8 * _STEPS // 3), ("test", 4)):
        for channel, name in enumerate(("blue", "green", "red")):
            place = folder / "data" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 90, (8, 8, 3), np.uint8)
                pixels[..., 2 - channel] += 120
                Image.fromarray(pixels).save(place / f"{number}.png")
    recipe = folder / "recipe.toml"
    recipe.write_text(_RECIPE.format(data=folder / "data", epochs=_EPOCHS))
    return recipe


def _train(recipe, output, *more):
    command = [sys.executable, "-m", "kerasvit", "train", str(recipe), "-o", str(output), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _kill_and_resume(recipe, output, kills, seconds, draw):
    """Kill the run after random times, and let it go on; return how often it had a state."""
    resumed = 0
    for number in range(kills + 1):
        has_state = (output / "state.npz").exists()
        resumed += has_state
        more = ["--resume"] if has_state else ["--overwrite"]
        process = _train(recipe, output, *more)
        if number < kills:
            # Late enough to come to work, early enough that the whole does not end before.
            before = _stamp(output)
            _wait_for_work(process, output, before, seconds)
            time.sleep(draw.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
        _, message = process.communicate()
        ended = process.returncode in ((0, -signal.SIGKILL) if number < kills else (0,))
        check(ended, f"after {number} kills: {message.decode()[-300:]}")
    return resumed


def _wait_for_work(process, output, before, seconds):
    """Wait until a run has written a state, or ended, or has had twice the whole's time."""
    until = time.monotonic() + 2 * seconds
    while process.poll() is None and _stamp(output) == before and time.monotonic() < until:
        time.sleep(0.01)


def _stamp(output):
    try:
        return (output / "state.npz").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _rows(folder):
    with pathlib.Path(folder, "log.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def _epochs(folder):
    try:
        return len(_rows(folder))
    except OSError:
        return 0


def _same(one, other):
    """Tell whether two runs ended with the same log and the same weights."""
    import kerasvit

    if len(_rows(one)) != _EPOCHS or _rows(one) != _rows(other):
        return False
    for name in ("model.keras", "best.keras"):
        weights = [kerasvit.from_pretrained(place / name).get_weights() for place in (one, other)]
        if not all(np.array_equal(*pair) for pair in zip(*weights, strict=True)):
            return False
    return True
