"""Change the package in one place at a time, and tell which changes the tests notice.

    python tests/mutations [WORD ...]                     the changes of changes.toml
    python tests/mutations --random 60 [--seed 16]        so many of each room, chosen at random
    python tests/mutations --again LOG                    what went unnoticed, by all tests

Changes that people thought of, with the tests that stand beside each, are in `changes.toml`; words
choose those whose file or name holds one of them. Changes at random are judged by the quickest
tests that run the changed line: which these are is found out first (minutes; it needs `coverage`)
and kept in the file that `--map` names, if one is named. A copy of the tracked files is changed,
never this tree; each change runs in a process forked from one that has Keras and PyTorch loaded.
It exits with 1 if a change of `changes.toml` goes unnoticed, or is no change any more.
"""

import argparse
import collections
import pathlib
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import mapping
from changing import Change, changes_of, sample
from trying import (
    BY_TIME,
    NOTICED,
    ROOT,
    UNNOTICED,
    changed,
    copy_tree,
    prepare,
    run_tests,
    verdict,
)

SECONDS = 600
# How often longer than alone the chosen tests may take: others use the machine too.
_PATIENCE = 30
ROOMS = {
    "conversion": ["conversion"],
    "files": ["kerasvit/files.py", "kerasvit/temporary.py"],
    "cache": ["kerasvit/cache.py"],
    "untrusted": ["kerasvit/untrusted"],
    "images": ["kerasvit/images"],
    "saliency": ["kerasvit/saliency"],
    "layers": ["kerasvit/layers"],
}
# All tests that stand beside a room, for what the quickest do not notice.
_QUICK = ["-k", "not memory and not processes and not killed and not eight"]
BESIDE = {
    "conversion": [
        *("tests/conversion/names", "tests/conversion/files", "tests/conversion"),
        *("tests/releases/test_releases.py", *_QUICK),
    ],
    "files": ["tests/files", "tests/render/test_files.py", "tests/models/test_base_saving.py"],
    "cache": ["tests/files", "tests/test_pretrained.py"],
    "untrusted": ["tests/untrusted", "tests/conversion/files", *_QUICK],
    "images": ["tests/images", "tests/cli/test_faults.py", *_QUICK],
    "saliency": [
        "tests/saliency",
        "tests/untrusted",
        "tests/cli/test_saliency_options.py",
        *_QUICK,
    ],
    "layers": ["tests/layers", "tests/models/vit", "tests/models/cait", "tests/models/xcit"],
}
# What runs lines of these rooms and takes no process of its own, no whole architecture.
TESTS = [
    *(f"tests/{room}" for room in ("files", "untrusted", "layers", "images", "saliency")),
    *(f"tests/models/{family}" for family in ("vit", "cait", "xcit")),
    *("tests/conversion", "tests/releases/test_releases.py"),
    *("--deselect", "tests/conversion/test_every_architecture.py"),
    *("--deselect", "tests/conversion/proof/test_parity.py"),
    *_QUICK,
]


def main(arguments: list[str]) -> int:
    """Try the chosen changes, and say how each went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="of changes.toml, or of rooms")
    parser.add_argument("--random", type=int, metavar="N", help="N changes of each room at random")
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument(
        "--map", type=pathlib.Path, help="which tests run which line; made if absent"
    )
    parser.add_argument("--again", type=pathlib.Path, metavar="LOG", help="what --random printed")
    options = parser.parse_args(arguments)
    unnoticed = options.again and options.again.read_text()
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(pathlib.Path(folder))
        place = (options.map or pathlib.Path(folder) / "map.json").absolute()
        prepare(pathlib.Path(folder))
        if unnoticed is not None:
            return _try_again(unnoticed, options.words or list(ROOMS))
        if options.random is None:
            return _try_known(options.words)
        return _try_random(options.words or list(ROOMS), options.random, options.seed, place)


def _try_known(words: list[str]) -> int:
    """Try the changes of changes.toml."""
    table = tomllib.loads((ROOT / "tests" / "mutations" / "changes.toml").read_text())
    chosen = [
        change
        for change in table["change"]
        if not words or any(word in change["file"] + change["name"] for word in words)
    ]
    verdicts = []
    for change in chosen:
        path = pathlib.Path(change["file"])
        text = path.read_text()
        found = text.count(change["old"])
        if not all(pathlib.Path(test.partition("::")[0]).exists() for test in change["tests"]):
            verdicts.append("BROKEN: the tests are not there")
        elif found == 1:
            with changed(path, text.replace(change["old"], change["new"]).encode()):
                verdicts.append(verdict(run_tests(change["tests"], SECONDS)))
        else:
            verdicts.append(f"BROKEN: the line is there {found} times")
        print(f"{verdicts[-1]}: {change['file']}: {change['name']}", flush=True)
    noticed = len(verdicts) - verdicts.count(UNNOTICED)
    print(f"{noticed} of {len(verdicts)} changes are noticed")
    return int(not set(verdicts) <= {NOTICED, BY_TIME})


def _try_random(rooms: list[str], count: int, seed: int, place: pathlib.Path) -> int:
    """Try some changes of each room."""
    if not place.exists():
        mapping.record(TESTS, [file for room in ROOMS.values() for file in room], place)
    tests = mapping.Map(place)
    total: collections.Counter[str] = collections.Counter()
    for room in rooms:
        changes = [change for file in _files(ROOMS[room]) for change in _changes(file)]
        counts: collections.Counter[str] = collections.Counter()
        for change in sample(changes, count, seed):
            word = _judge(change, tests)
            counts[word] += 1
            print(f"{word}: {change}", flush=True)
        print(f"{room}: {dict(counts)} of {len(changes)} possible changes", flush=True)
        total.update(counts)
    noticed = total[NOTICED] + total[BY_TIME]
    print(f"{noticed} of {total.total()} changes are noticed")
    return 0


def _try_again(log: str, rooms: list[str]) -> int:
    """Try what went unnoticed with all tests that stand beside a room."""
    lines = {line.partition(": ")[2] for line in log.splitlines() if line.startswith(UNNOTICED)}
    verdicts = []
    for room in rooms:
        changes = [change for file in _files(ROOMS[room]) for change in _changes(file)]
        for change in (change for change in changes if str(change) in lines):
            path = pathlib.Path(change.file)
            with changed(path, change.apply(path.read_bytes())):
                verdicts.append(verdict(run_tests(BESIDE[room], SECONDS)))
            print(f"{verdicts[-1]}: {change}", flush=True)
    noticed = len(verdicts) - verdicts.count(UNNOTICED)
    print(f"{noticed} of {len(verdicts)} changes are noticed")
    return 0


def _files(places: list[str]) -> list[pathlib.Path]:
    return [
        file
        for place in map(pathlib.Path, places)
        for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))
    ]


def _changes(file: pathlib.Path) -> list[Change]:
    return changes_of(file.as_posix(), file.read_text())


def _judge(change: Change, tests: mapping.Map) -> str:
    chosen = tests.tests_of(change.file, change.line)
    if not chosen:
        return UNNOTICED
    path = pathlib.Path(change.file)
    with changed(path, change.apply(path.read_bytes())):
        return verdict(run_tests(chosen, _PATIENCE * mapping.SECONDS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
