"""Lower precision against float32: speed, memory, and how far logits and scores move.

    python -m benchmarks.precision model.keras [--pictures photos/] [--batch 8] [--rounds 5]
        [--precisions mixed_bfloat16 bfloat16 mixed_float16 float16 int8] [--backends jax torch]

Every model lies in a process of its own, beside the float32 model of the same weights; the two take
turns. Outputs are compared in float32: the features or logits by the largest difference, as a share
of the largest value, scores by the largest difference. Without `--pictures` the input is noise,
which moves scores less than pictures do.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

from benchmarks.harness import memory
from benchmarks.harness.workers import REUSING, ROOT, environment
from benchmarks.imports import BACKENDS

PRECISIONS = ("mixed_bfloat16", "bfloat16", "mixed_float16", "float16", "int8")
ENGINES = {"jax": "jax", "tensorflow": "tf", "torch": "torch"}
COLUMNS = ("ms", "x float32", "weights MiB", "added MiB", "logits", "scores", "row sum")


def with_precision(model, precision: str):
    """Return a model of the same weights that computes in a precision, or is quantized."""
    from kerasvit.models.opening.precision import in_policy

    if precision != "int8":
        return in_policy(model, precision)
    other = type(model).from_config(model.get_config())
    other.set_weights(model.get_weights())
    other.quantize("int8")
    return other


def pictures(model, folder: str | None, batch: int):
    """Return `(batch, height, width, 3)`: the first pictures of a folder, prepared, or noise."""
    import numpy as np

    from kerasvit.images import Preprocessing, read, resolve

    if folder is None:
        shape = (batch, *model.image_shape)
        return np.random.default_rng(0).standard_normal(shape).astype("float32")
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    paths = resolve([folder])
    paths = [paths[index % len(paths)] for index in range(batch)]
    return np.stack([preprocessing.evaluate(read(path)).pixels for path in paths])


def compare(path: str, precision: str, options) -> dict:
    """Run both models in turn in this process; return the figures of one row."""
    import keras

    import kerasvit
    from benchmarks.contenders.keras_models import forward, limit_threads

    engine = ENGINES[keras.backend.backend()]
    limit_threads(engine, options.threads)
    model = kerasvit.from_pretrained(path)
    images = pictures(model, options.pictures, options.batch)
    lower = with_precision(model, precision)
    runs = {"float32": forward(model, engine), precision: forward(lower, engine)}
    reference = _outputs(runs["float32"](images))
    before = memory.resident()
    memory.forget_peak()
    changed = _outputs(runs[precision](images))
    added = memory.peak() - before
    seconds = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            _outputs(run(images))
            seconds[name].append(time.perf_counter() - start)
    pairs = zip(seconds["float32"], seconds[precision], strict=True)
    weights = sum(keras.ops.convert_to_numpy(each).nbytes for each in lower.variables)
    return {
        "ms": f"{1000 * statistics.median(seconds[precision]):.0f}",
        "x float32": f"{statistics.median(one / other for one, other in pairs):.2f}",
        "weights MiB": f"{weights / 2**20:.0f}",
        "added MiB": f"{added / 2**20:.0f}",
        **deviations(reference, changed),
    }


def _outputs(outputs):
    """Return the logits and the list of scores as float32 arrays."""
    import keras

    logits, sa_scores, ca_scores = keras.tree.map_structure(
        lambda tensor: keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")), outputs
    )
    return logits, [*sa_scores.values(), *ca_scores.values()]


def deviations(reference, changed) -> dict[str, str]:
    """Return how far the logits, the scores and the sums of their rows moved."""
    import numpy as np

    logits = np.abs(changed[0] - reference[0]).max() / np.abs(reference[0]).max()
    pairs = list(zip(reference[1], changed[1], strict=True))
    scores = max(np.abs(one - other).max() for one, other in pairs)
    sums = max(np.abs(one.sum(-1) - other.sum(-1)).max() for one, other in pairs)
    return {"logits": f"{logits:.1e}", "scores": f"{scores:.1e}", "row sum": f"{sums:.1e}"}


def row(path, backend, precision, options) -> str:
    """Measure in a process of its own; return a line of the table, or why there is none."""
    command = [sys.executable, "-m", "benchmarks.precision", *sys.argv[1:]]
    child = subprocess.run(
        [*command, "--child", precision],
        cwd=ROOT,
        env=environment(backend, options.threads) | REUSING,
        capture_output=True,
        text=True,
    )
    if child.returncode:
        said = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return f"skipped {backend} {precision}: {said[:200]}"
    figures = json.loads(child.stdout.strip().splitlines()[-1])
    return "| " + " | ".join([backend, precision, *(figures[name] for name in COLUMNS)]) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path, help="a .keras file of kerasvit")
    parser.add_argument("--pictures", help="a folder or a picture; defaults to noise")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = str(options.model.resolve())
    if options.child:
        print(json.dumps(compare(path, options.child, options)))
        return 0
    heads = ["backend", "precision", *COLUMNS]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for backend in options.backends:
        for precision in options.precisions:
            print(row(path, backend, precision, options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
