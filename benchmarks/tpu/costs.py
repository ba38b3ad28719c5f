"""What the compiler says of a program: operations, bytes, memory, messages between chips."""

import dataclasses
import re
import time
from typing import Any

from benchmarks.tpu import chip

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one pass on each chip.

    Args:
        operations: of floating point.
        moved: bytes read and written by the operations of the program.
        memory: bytes beside arguments and results.
        collectives: how many messages of each kind the chips exchange.
        seconds: that compiling took.
    """

    operations: float
    moved: float
    memory: int
    collectives: dict[str, int]
    seconds: float

    @property
    def bound(self) -> tuple[float, str]:
        """The least seconds that a v5e can take (its roofline), and what holds it back."""
        products = self.operations / chip.OPERATIONS
        memory = self.moved / chip.BYTES
        return max((products, "products"), (memory, "memory"))


def cost(function: Any, *arguments: Any) -> Cost:
    """Compile a function for the devices of its arguments' shardings, and read the cost.

    Args:
        function: of JAX.
        *arguments: trees of `jax.ShapeDtypeStruct` with shardings.
    """
    import jax

    start = time.perf_counter()
    program: Any = jax.jit(function).lower(*arguments).compile()
    figures = program.cost_analysis()
    return Cost(
        operations=figures["flops"],
        moved=figures["bytes accessed"],
        memory=program.memory_analysis().temp_size_in_bytes,
        collectives=_collectives(program.as_text()),
        seconds=time.perf_counter() - start,
    )


def _collectives(text: str) -> dict[str, int]:
    """Count the messages; one that is started and awaited counts once."""
    counts = {kind: len(re.findall(rf"= \S.*? {kind}(?:-start)?\(", text)) for kind in COLLECTIVES}
    return {kind: count for kind, count in counts.items() if count}
