"""Running an export in the runtime that it is for, and comparing it with the model."""

import itertools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasvit.errors import OutputError
from kerasvit.exporting.computation import Computation
from kerasvit.exporting.formats.format import Format, installed_version, is_installed
from kerasvit.texts.wording import counted

BATCHES = (1, 5)
# Of the largest value of an output, or of 1 where it is smaller; see docs/how_to/exporting.md.
TOLERANCES = {"float32": 1e-5, "float16": 1e-2, "int8": 0.1}
_SEED = 20261129

# Takes a line that says what is being done.
Report = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


def check(
    computation: Computation, target: Format, path: pathlib.Path, report: Report = silent
) -> dict[str, Any]:
    """Compare every output at two batch sizes, and return what was found, for the sidecar.

    Args:
        computation: what was written.
        target: the format that it was written in.
        path: the file or folder.
        report: called with a line for each batch.

    Raises:
        OutputError: if an output is missing, has another shape, or deviates by more than the
            precision allows.
    """
    if not is_installed(target.runtime):
        return {
            "checked": False,
            "why": f"{target.runtime} is not installed: pip install {target.runtime}",
        }
    run = target.load(path)
    worst: dict[str, float] = {}
    for size, batch in itertools.product(computation.sizes(), BATCHES):
        pictures = f"{counted(batch, 'picture')} of {size[0]}x{size[1]} pixels"
        report(f"Running {target.runtime} and the model on {pictures}")
        images = computation.sample(batch, _SEED + batch, size)
        wanted, given = computation.reference(images), run(images)
        for name, deviation in _deviations(wanted, given, target).items():
            worst[name] = max(worst.get(name, 0.0), deviation)
    tolerance = TOLERANCES[computation.request.precision]
    _require_within(worst, tolerance, target)
    return {
        "checked": True,
        "runtime": f"{target.runtime} {installed_version(target.runtime)}",
        "batches": list(BATCHES),
        "sizes": [list(size) for size in computation.sizes()],
        "tolerance": tolerance,
        "worst": max(worst.values()),
        "deviations": worst,
    }


def deviation_of(wanted: np.ndarray, given: np.ndarray) -> float:
    """Return the largest difference, as a share of the largest value if that is above 1.

    It is infinite where `given` holds NaN or infinity.
    """
    if not np.isfinite(given).all():
        return float("inf")
    scale = max(1.0, float(np.abs(wanted).max()))
    difference = float(np.abs(given.astype(np.float32) - wanted).max())
    return difference / scale


def _deviations(
    wanted: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray], target: Format
) -> dict[str, float]:
    shapes = [{name: value.shape for name, value in outputs.items()} for outputs in (wanted, given)]
    if shapes[0] != shapes[1]:
        different = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
        raise OutputError(
            f"{target.title}: the file has other outputs than the model, so it was not kept. "
            f"Received: {different[0]} in one of them alone. Report it as a bug"
        )
    return {name: deviation_of(wanted[name], given[name]) for name in wanted}


def _require_within(worst: Mapping[str, float], tolerance: float, target: Format) -> None:
    name = max(worst, key=worst.__getitem__)
    if worst[name] > tolerance:
        raise OutputError(
            f"{target.title}: what {target.runtime} computes must be within {tolerance:g} of the "
            f"model, so the file was not kept. Received: {name!r} off by {worst[name]:.2g}. Choose "
            "another format or precision"
        )
