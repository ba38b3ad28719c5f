"""Run the tests on TensorFlow, JAX and PyTorch; arguments go to pytest.

With `--broad` every case runs where the suite takes a sample.

PyTorch runs everything, JAX and TensorFlow what is marked `backend`. The tests are divided into
shards, of which as many run at once as there are cores, each in a process of its own. Given paths
instead of all tests, each backend is one shard.

Most of the time goes into XLA, which compiles small models to run them once: it compiles without
optimising (what its optimisations got wrong once, and golden values, are tested with them), and
what JAX compiled is kept between runs in `$KERASVIT_TESTS_CACHE`, else `kerasvit-tests` in the
user's cache folder. An empty variable keeps nothing. Flags in `XLA_FLAGS` are added to these.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
QUICK_COMPILATION = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# A quarter less to compile; a version of XLA that does not know the flag would end the process.
QUICK_ON_JAX = "--xla_cpu_use_fusion_emitters=false"
NOTHING_SELECTED = 5

# The shards, each with its rooms; OTHERS are the rooms that the backend has in no other shard. What
# takes longest comes first, so that no core waits for another at the end.
OTHERS = ("others",)
SHARDS = (
    ("jax", ("models", "saliency")),
    ("jax", OTHERS),
    ("torch", OTHERS),
    ("torch", ("exporting", "training")),
    ("torch", ("app", "docs", "examples", "look")),
    ("torch", ("conversion",)),
    ("tensorflow", ("models", "saliency")),
    ("torch", ("models", "saliency")),
    ("jax", ("training",)),
    ("torch", ("cli",)),
    ("tensorflow", OTHERS),
    ("tensorflow", ("training",)),
)
BACKENDS = ("tensorflow", "jax", "torch")


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one process runs."""

    backend: str
    paths: tuple[str, ...]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.backend} {self.name}".rstrip()


def shards(given: list[str]) -> list[Shard]:
    """Return the shards, in the order in which they start, of the given paths or of all tests."""
    if given:
        return [Shard(backend, tuple(given)) for backend in BACKENDS]
    everything = sorted(
        path.name
        for path in TESTS.iterdir()
        if path.match("test_*.py") or (path.is_dir() and any(path.rglob("test_*.py")))
    )
    divided = []
    for backend, rooms in SHARDS:
        own = {room for other, named in SHARDS if other == backend for room in named}
        chosen = [room for room in everything if room not in own] if rooms is OTHERS else rooms
        paths = tuple(f"tests/{room}" for room in chosen)
        divided.append(Shard(backend, paths, "+".join(rooms)))
    return divided


def cache_folder() -> pathlib.Path | None:
    """Return the folder of compiled programs, or `None` where nothing can or shall be kept.

    What is compiled for one processor may stop another one, and JAX does not tell them apart.
    """
    shared = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    chosen = os.environ.get("KERASVIT_TESTS_CACHE", pathlib.Path(shared) / "kerasvit-tests")
    if not str(chosen):
        return None
    folder = pathlib.Path(chosen).absolute() / f"jax-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        print(f"Nothing that is compiled will be kept: {error}")
        return None


def _processor() -> str:
    """Return a short name of this kind of processor."""
    described = platform.machine() + platform.processor()
    with open("/proc/cpuinfo") if os.path.exists("/proc/cpuinfo") else open(os.devnull) as file:
        described += "".join(sorted({line for line in file if line.startswith(("flags", "model"))}))
    return hashlib.sha256(described.encode()).hexdigest()[:8]


def environment_of(backend: str, cache: pathlib.Path | None) -> dict[str, str]:
    """Return the environment variables of a shard."""
    variables = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # There is a process for each core already: threads of one would wait for the other's.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    if backend != "torch":
        quick = [QUICK_COMPILATION] + [QUICK_ON_JAX] * (backend == "jax" and _jax_knows_its_flag())
        variables["XLA_FLAGS"] = " ".join([*quick, os.environ.get("XLA_FLAGS", "")]).strip()
    if cache:  # on other backends too: a test may start a process of JAX
        variables |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        }
    return variables


@functools.cache
def _jax_knows_its_flag() -> bool:
    """Tell whether JAX starts with `QUICK_ON_JAX`."""
    start = [sys.executable, "-c", "import jax; jax.devices('cpu')"]
    variables = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_ON_JAX}
    return subprocess.run(start, env=variables, capture_output=True).returncode == 0


def run(
    shard: Shard, options: list[str], cache: pathlib.Path | None = None
) -> tuple[int, dict[str, int]]:
    """Run pytest on one shard; return its exit code and how many tests passed, failed, ..."""
    selection = [] if shard.backend == "torch" else ["--backend-tests"]
    counts: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *selection, *options, *shard.paths],
        cwd=ROOT,
        env=environment_of(shard.backend, cache),
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{shard}: {line}", end="", flush=True)
            found = re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", line)
            counts = {name: int(number) for number, name in found} or counts
    return process.returncode, counts


def main(arguments: list[str]) -> int:
    """Run all shards, even after a failure, and say how each ended."""
    # What stands before `::` names a test inside a file.
    given = [one for one in arguments if os.path.exists(ROOT / one.partition("::")[0])]
    options = [one for one in arguments if one not in given]
    cache, queue = cache_folder(), shards(given)
    with concurrent.futures.ThreadPoolExecutor(min(len(queue), os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda shard: run(shard, options, cache), queue))
    total: collections.Counter[str] = collections.Counter()
    for shard, (code, counts) in zip(queue, results, strict=True):
        total.update(counts)
        print(f"{shard}: {'passed' if code in (0, NOTHING_SELECTED) else 'FAILED'}, {counts}")
    failed = total["failed"] + total["error"] + total["errors"]
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    # A shard that a signal ended has a negative code; one of which `-k` leaves nothing is none.
    codes = {code for code, _ in results}
    return int(not codes <= {0, NOTHING_SELECTED} or codes == {NOTHING_SELECTED})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
