"""A bar with the time left on standard error, where that is a terminal; lines elsewhere."""

import sys

import tqdm


class Steps:
    """Counts the steps of a long command.

    Args:
        total: how many; for one there is no bar.
        unit: what a step is.
    """

    def __init__(self, total: int, unit: str = "step") -> None:
        hidden = True if total < 2 else None  # None: hidden where there is no terminal.
        self.bar = tqdm.tqdm(total=total, unit=unit, file=sys.stderr, disable=hidden)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def say(self, text: str) -> None:
        """Say which step begins, or what went wrong."""
        tqdm.tqdm.write(f"kerasvit: {text}", file=sys.stderr)

    def advance(self) -> None:
        """Count one step."""
        self.bar.update()
