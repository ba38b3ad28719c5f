"""Training runs killed at random moments: the earlier run as it was, or this one to go on with."""

import os
import pathlib
import random
import signal
import tempfile
import time

import numpy as np
from PIL import Image
from running import Damaged, content, in_child, leftovers

_TABLES = {
    "model": {
        "name": "cait_nano_patch4_32",
        "arguments": {
            **{"hidden_dim": 16, "num_layers": 2, "num_class_layers": 1, "num_heads": 2},
            "mlp_dim": 16,
        },
    },
    "preprocessing": {"image_size": [8, 8], "crop_fraction": 1.0},
    "augmentation": {"crop": "padded", "padding": 2},
    "optimizer": {"ema_momentum": 0.9},
    "schedule": {"epochs": 3, "batch_size": 8, "warmup_epochs": 1},
}


def recipes(folder):
    """Return the recipes of two runs that differ in their seed alone, and their pictures."""
    from kerasvit.training.recipe.reading import parse_recipe

    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 2)):
        for channel, name in enumerate(("blue", "green", "red")):
            place = folder / "data" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 90, (8, 8, 3), np.uint8)
                pixels[..., 2 - channel] += 120
                Image.fromarray(pixels).save(place / f"{number}.png")
    for seed in (1, 2):
        run = {"tensorboard": False, "test_batch_size": 6, "checkpoint_steps": 1, "seed": seed}
        yield parse_recipe({**_TABLES, "data": {"path": str(folder / "data")}, "run": run})


def kill(kills, seed):
    """Kill an overwriting run and the runs that go on with it; return what to say."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        earlier, new = recipes(folder)
        old_run, new_run, place = folder / "old", folder / "new", folder / "run"
        in_child(_train, earlier, old_run)
        started = time.perf_counter()
        in_child(_train, new, new_run)
        duration = time.perf_counter() - started
        draw, kept, resumed = random.Random(seed), 0, 0
        in_child(_train, earlier, place)
        for number in range(kills):
            if number % 5 == 0:
                # The earlier run again, complete, and a new one over it.
                in_child(_train, earlier, place, True)
                _check_ends_as(old_run, place)
            before = content(place)
            goes_on = in_child(_belongs, new, place)
            resumed += goes_on
            _kill(_train, draw.uniform(0.1, duration), new, place, not goes_on, goes_on)
            if in_child(_belongs, new, place):
                continue
            kept += 1
            if goes_on or content(place) != before:
                raise Damaged("the earlier run is no longer what it was")
        goes_on = in_child(_belongs, new, place)
        in_child(_train, new, place, not goes_on, goes_on)
        _check_ends_as(new_run, place)
        if leftovers(place):
            raise Damaged(f"left behind: {leftovers(place)}")
    return (
        f"{kills} kills, {kept} before the new run's first state, the earlier run byte for byte; "
        f"{resumed} of runs that went on, which ended with the weights of one left alone"
    )


def _train(recipe, folder, overwrite=False, resume=False):
    from kerasvit.training.run.train import train

    train(recipe, folder, overwrite=overwrite, resume=resume)


def _belongs(recipe, folder):
    """Tell whose state lies in a folder: it must be one of the two runs'."""
    from kerasvit.training.run.checkpoints import read_meta

    return read_meta(folder / "state.npz")["recipe"]["run"]["seed"] == recipe.run.seed


def _kill(function, seconds, *arguments):
    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            function(*arguments)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _check_ends_as(expected, folder):
    in_child(_same_end, expected, folder)


def _same_end(expected, folder):
    import csv
    import json

    import kerasvit

    for name in ("model.keras", "best.keras"):
        weights = [
            kerasvit.from_pretrained(place / name).get_weights() for place in (expected, folder)
        ]
        assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True)), name
    logs = []
    for place in (expected, folder):
        with (place / "log.csv").open(newline="") as file:
            logs.append([{**row, "seconds": ""} for row in csv.DictReader(file)])
    assert logs[0] == logs[1], logs
    told = [json.loads((place / "recipe.json").read_text()) for place in (expected, folder)]
    assert told[0] == told[1], "recipe.json tells of another run"
