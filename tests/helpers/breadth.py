"""Which cases of a kind the suite runs, and which only a run with `--broad`.

The suite shall end while somebody waits for it. Where a test holds for many inputs that differ in
little, it runs a sample of them; `python tests/all_backends.py --broad` runs them all.
"""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def spread(
    cases: Iterable[Any], sample: Collection[Any], on_backends: Collection[Any] = ()
) -> list[Any]:
    """Return cases as parameters of a test.

    Args:
        cases: all of them.
        sample: those that the suite runs; the others run with `--broad`.
        on_backends: those of the sample that run on every backend, where the test itself does not.
    """
    cases = list(cases)
    assert sample, "A test of which the suite runs no case would be none"
    missing = [case for case in (*sample, *on_backends) if case not in cases]
    assert not missing, f"A sample is of the cases; these are none: {missing}"
    return [
        pytest.param(
            case,
            marks=[
                *([pytest.mark.backend] if case in on_backends else []),
                *([] if case in sample else [pytest.mark.broad]),
            ],
        )
        for case in cases
    ]


def combinations(first: Iterable[Any], second: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return all pairs, and a sample in which each member of both stands at least once."""
    rows, columns = list(first), list(second)
    longest = max(len(rows), len(columns))
    pairs = [(row, column) for row in rows for column in columns]
    return pairs, [(rows[i % len(rows)], columns[i % len(columns)]) for i in range(longest)]
