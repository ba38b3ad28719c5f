"""Which tests run which lines, and how long each takes: so that few tests judge a change."""

import collections
import functools
import json
import os
import pathlib
import re
from collections.abc import Iterable

from trying import run_here

# What judges a line: the quickest of the tests that run it, as far as this many seconds reach.
SECONDS = 12.0
TESTS = 100


class Recorder:
    """A plugin of pytest that tells coverage which test runs, and measures it."""

    def __init__(self, coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.useless: set[str] = set()

    def pytest_runtest_logreport(self, report) -> None:
        """Add the time of one phase of a test, and remember one that fails or is skipped anyway."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.useless.add(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count what runs from here as this test's."""
        self.coverage.switch_context(nodeid)


def record(paths: list[str], files: list[str], target: pathlib.Path) -> None:
    """Run tests in a fork, and store which lines of the files each of them runs."""
    child = os.fork()
    if child == 0:
        import coverage

        # In memory, and one table of numbers in the end: coverage's own file would be far larger.
        # `kerasvit/conversion` is a link.
        names = [file if file.endswith(".py") else f"{file}/*" for file in files]
        include = [f"{os.getcwd()}/{start}{name}" for name in names for start in ("", "kerasvit/")]
        measured = coverage.Coverage(data_file=None, include=include)
        recorder = Recorder(measured)

        def store() -> None:
            measured.stop()
            seconds = {
                test: time
                for test, time in recorder.seconds.items()
                if test not in recorder.useless
            }
            target.write_text(json.dumps(_table(measured.get_data(), seconds)))

        measured.start()
        run_here(paths, recorder, at_end=store)
    os.waitpid(child, 0)


def _table(data, seconds: dict[str, float]) -> dict:
    lines = {
        os.path.relpath(os.path.realpath(file), os.path.realpath(os.getcwd())): {
            line: [test for test in tests if test in seconds]
            for line, tests in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return {"seconds": seconds, "lines": lines}


class Map:
    """What `record` has stored."""

    def __init__(self, path: pathlib.Path) -> None:
        table = json.loads(path.read_text())
        self.seconds: dict[str, float] = table["seconds"]
        self.lines: dict[str, dict[str, list[str]]] = table["lines"]

    def tests_of(self, file: str, line: int) -> list[str]:
        """Return the tests that judge a line, the quickest first: those that run it.

        A line that runs as its module is imported is no single test's: all that run any line of the
        module judge it, or, where nothing was recorded of it, those in files that import it.
        """
        of_file = self.lines.get(file, {})
        tests = of_file.get(str(line)) or _counted(of_file) or self._importing(file)
        chosen: list[str] = []
        seconds = 0.0
        for test in self._in_order(tests, file)[:TESTS]:
            seconds += self.seconds[test]
            if chosen and seconds > SECONDS:
                break
            chosen.append(test)
        return chosen

    def _in_order(self, tests: Iterable[str], file: str) -> list[str]:
        """Return tests in the order of their use: one case of each first, the quickest first."""
        cases: collections.Counter[str] = collections.Counter()
        places = {}
        for test in sorted(tests, key=self.seconds.__getitem__):
            function = test.partition("[")[0]
            places[test] = (cases[function], not _is_beside(test, file))
            cases[function] += 1
        return sorted(places, key=places.__getitem__)

    def _importing(self, file: str) -> list[str]:
        """Return the tests whose file imports a module, or bears its name."""
        module = re.sub(r"^(?=conversion)", "kerasvit.", file.removesuffix(".py").replace("/", "."))
        words = [module.removesuffix(".__init__")]
        words.append("from {} import ".format(words[0].rpartition(".")[0]))
        words.append(words[0].rpartition(".")[2])
        return [
            test
            for test in self.seconds
            if _is_beside(test, file) or _mentions(test.partition("::")[0], *words)
        ]


@functools.cache
def _mentions(test_file: str, module: str, parent: str, name: str) -> bool:
    text = pathlib.Path(test_file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith(parent)]
    return module in text or any(re.search(rf"\b{name}\b", line) for line in lines)


def _counted(of_file: dict[str, list[str]]) -> list[str]:
    return list({test for tests in of_file.values() for test in tests})


def _is_beside(test: str, file: str) -> bool:
    """Tell whether a test stands in the file that bears the module's name."""
    return pathlib.Path(test.partition("::")[0]).stem == f"test_{pathlib.Path(file).stem}"
