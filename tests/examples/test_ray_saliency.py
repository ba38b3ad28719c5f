"""Two workers of Ray draw what the command draws; a run that is killed goes on."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray", reason="needs Ray Data: pip install 'ray[data]', not in the test extra")

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "ray_saliency.py"
OPTIONS = ["--method", "attention", "--format", "npz"]
COUNT = 40


@pytest.fixture
def photos(tmp_path):
    for number in range(COUNT):
        place = tmp_path / "photos" / "ab"[number % 2] / f"{number:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 64)).save(place)
    return tmp_path / "photos"


def start(photos, *options):
    environment = {**os.environ, "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    environment |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, str(SCRIPT), "photos", "-o", "out", *OPTIONS, "--workers", "2"]
    return subprocess.Popen(
        [*command, "--batch-size", "2", *options],
        cwd=photos.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def maps(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.npz")}


def test_a_killed_run_goes_on_and_draws_what_the_command_draws(photos, tmp_path):
    out, journal = tmp_path / "out", tmp_path / "out" / "manifest.json.part"
    first = start(photos)
    try:
        while first.poll() is None:
            if journal.exists() and len(journal.read_text().splitlines()) > 5:
                first.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        assert first.wait() == -signal.SIGKILL, "it ended before it was killed"
    finally:
        first.stdout.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
    noted = [json.loads(line)["file"] for line in journal.read_text().splitlines()[1:-1]]
    times = {place: (out / place).stat().st_mtime_ns for place in maps(out)}
    second = start(photos)
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    drawn = int(said.splitlines()[-1].split()[0])
    assert drawn <= COUNT - len(noted)
    entries = json.loads((out / "manifest.json").read_text())["pictures"]
    names = [entry["file"] for entry in entries]
    assert sorted(names) == sorted(
        {f"photos/{p.parent.name}/{p.name}" for p in photos.rglob("*.png")}
    )
    assert not journal.exists()
    for entry in entries:
        place = pathlib.Path(entry["outputs"][0])
        if entry["file"] in noted:
            assert (out / place).stat().st_mtime_ns == times[place], "what was noted is left alone"
    command = [sys.executable, "-m", "kerasvit", "saliency", "photos", "-r", "-o", "command"]
    subprocess.run([*command, *OPTIONS], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert maps(out) == maps(tmp_path / "command")
    by_command = json.loads((tmp_path / "command" / "manifest.json").read_text())
    merged = {entry["file"]: {**entry, "seconds": 0} for entry in entries}
    assert merged == {entry["file"]: {**entry, "seconds": 0} for entry in by_command["pictures"]}
