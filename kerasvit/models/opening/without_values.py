"""Models whose weights have shapes and no values: their facts, without their memory."""

import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

import keras

Result = TypeVar("Result")


def without_values(build: Callable[[], Result]) -> Result:
    """Call a function that makes models whose weights take no memory.

    Args:
        build: makes them, and may look at their configurations and the shapes of their weights.
            It runs in a thread of its own, on which Keras' defaults hold (a global dtype policy
            is not seen).

    Returns:
        What `build` returns.
    """

    def make() -> Result:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    # Keras lists variables without values by thread, and fills all of a list as soon as any
    # stateless scope ends. The list of a thread that is no more is never filled.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(make).result()
