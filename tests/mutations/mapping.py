"""Which tests run which lines, and how long each takes: so that few tests judge a change."""

import ast
import collections
import functools
import json
import os
import pathlib
import re
from collections.abc import Iterable

from trying import run_here

# What judges a line: the quickest of the tests that run it, as far as this many seconds of one
# processor reach.
SECONDS = 10.0
TESTS = 100


class Recorder:
    """A plugin of pytest that tells coverage which test runs, and measures it."""

    def __init__(self, coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.useless: set[str] = set()

    def pytest_runtest_logreport(self, report) -> None:
        """Remember a test that fails or is skipped anyway."""
        if not report.passed:
            self.useless.add(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count what runs from here as this test's."""
        self.coverage.switch_context(nodeid)
        self.seconds[nodeid] = -_processor_seconds()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Add up what the test took of the processor, whoever else used it."""
        self.seconds[nodeid] += _processor_seconds()


def _processor_seconds() -> float:
    return sum(os.times()[:4])


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
        """Return the tests that judge a line: those that run it, one case of each first.

        What runs as a module is imported is no single test's, least of all the first one's that
        imports it: all that run functions of the module judge it or, where nothing was recorded of
        it, those in files that import it. Defaults of a function are judged by what runs it.
        """
        of_file = self.lines.get(file, {})
        lines = _judging(file, line) & set(map(int, of_file))
        tests = {test for number in lines for test in of_file[str(number)]}
        tests = tests or self._importing(file)
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

    def _importing(self, file: str) -> set[str]:
        """Return the tests whose file imports a module, or bears its name."""
        module = re.sub(r"^(?=conversion)", "kerasvit.", file.removesuffix(".py").replace("/", "."))
        words = [module.removesuffix(".__init__")]
        words.append("from {} import ".format(words[0].rpartition(".")[0]))
        words.append(words[0].rpartition(".")[2])
        return {
            test
            for test in self.seconds
            if _is_beside(test, file) or _mentions(test.partition("::")[0], *words)
        }


@functools.cache
def _mentions(test_file: str, module: str, parent: str, name: str) -> bool:
    text = pathlib.Path(test_file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith(parent)]
    return module in text or any(re.search(rf"\b{name}\b", line) for line in lines)


def _judging(file: str, line: int) -> set[int]:
    """Return the lines whose tests judge a line: itself, or a function's or all functions'."""
    bodies = _bodies(file)
    if any(line in body for _, body in bodies):
        return {line}
    around = [body for start, body in bodies if start <= line < body.start]
    return {number for body in around or [body for _, body in bodies] for number in body}


@functools.cache
def _bodies(file: str) -> list[tuple[int, range]]:
    """Return where each function of a file begins, and the lines of its body."""
    tree = ast.parse(pathlib.Path(file).read_text(encoding="utf-8"))
    return [
        (node.lineno, range(node.body[0].lineno, (node.end_lineno or 0) + 1))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _is_beside(test: str, file: str) -> bool:
    """Tell whether a test stands in the file that bears the module's name."""
    return pathlib.Path(test.partition("::")[0]).stem == f"test_{pathlib.Path(file).stem}"
