"""One contender in a process of its own, obeying the orders on its standard input.

    python -m benchmarks.harness.worker

Every order and every answer is a line of JSON. The first order is a `Task`; the answer says how
long the contender took to be made and to return its first result, and what that result is, or why
it is skipped. Then each order is a number of calls, and the answer their seconds, the CPU time
of one and the memory.
What libraries print goes to the standard error.
"""

import json
import os
import sys
import time
import traceback

import numpy as np

from benchmarks.contenders import Skipped, Task, make
from benchmarks.harness import memory


def serve(orders, answer) -> None:
    """Obey until the orders end.

    Args:
        orders: lines of JSON.
        answer: takes what is to be sent back.
    """
    task = Task(**json.loads(next(orders)))
    try:
        contender, facts = prepare(task)
    except Skipped as reason:
        return answer({"skipped": str(reason)})
    except Exception as error:
        traceback.print_exc()
        message = (str(error).splitlines() or [""])[0]
        return answer({"skipped": f"{type(error).__name__}: {message[:200]}"})
    answer(facts)
    for order in orders:
        start = time.process_time()
        seconds = [_timed(contender)[0] for _ in range(json.loads(order))]
        cpu = (time.process_time() - start) / len(seconds)
        answer({"seconds": seconds, "cpu": cpu, **_peaks(facts)})
    return None


def prepare(task: Task) -> tuple[object, dict]:
    """Make the contender and call it once; return it with what there is to say about that."""
    made, contender = _timed(lambda: make(task))
    earlier_peak, before = memory.peak(), memory.resident()
    facts = {"exact": memory.forget_peak(), "earlier_peak": earlier_peak, "before": before}
    first_call, (outputs, scores) = _timed(contender)
    again, _ = _timed(contender)
    facts |= {"made": made, "first_call": first_call, "again": again, "images": contender.images}
    return contender, {**facts, **describe(outputs, scores), **_peaks(facts)}


def describe(outputs: np.ndarray, scores: dict[str, np.ndarray]) -> dict:
    """Say what was returned, so that a reader sees that everything was computed.

    Raises:
        ValueError: if anything is no NumPy array, or not finite.
    """
    for name, array in {"outputs": outputs, **scores}.items():
        if not isinstance(array, np.ndarray) or not np.isfinite(array).all():
            raise ValueError(f"{name} must be a finite NumPy array. Received: {type(array)}")
    shapes = [array.shape for array in scores.values()]
    kinds = {shape: shapes.count(shape) for shape in shapes}
    text = ", ".join(f"{count} of {'x'.join(map(str, shape))}" for shape, count in kinds.items())
    return {"scores": text, "score_bytes": sum(array.nbytes for array in scores.values())}


def _peaks(facts):
    """Return the peak of the process, and what the calls added to the made contender."""
    now = memory.peak()
    return {"peak": max(now, facts["earlier_peak"]), "added": max(0, now - facts["before"])}


def _timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(facts):
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    serve(iter(sys.stdin), answer)


if __name__ == "__main__":
    main()
