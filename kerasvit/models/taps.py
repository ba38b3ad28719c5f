"""Taps: zeros added at named places inside a model, so that any backend can differentiate there."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from kerasvit.layers.base import require

# What a block offers: its scores, the tokens that its attention reads, its output.
SCORES, TOKENS, OUTPUT = "att", "tokens", "output"


class Taps:
    """What one pass through a model adds and reads at its blocks.

    Args:
        places: tensors to add, or None to read only, by the place's name: `{block}_att`, the
            scores of a block; `{block}_tokens`, the normalised tokens that its attention reads;
            `{block}_output`, its output, which can be read only.
        isolate: whether no gradient flows from a block's input into the blocks before it.

    Attributes:
        found: the tensors at these places, the taps added, in the order of the blocks.
    """

    def __init__(self, places: Mapping[str, Any] | None = None, isolate: bool = False):
        self.places = {
            place: None if tap is None else ops.convert_to_tensor(tap)
            for place, tap in (places or {}).items()
        }
        self.isolate = isolate
        self.found: dict[str, Any] = {}

    def check(self, blocks) -> None:
        """Raise `ValueError` unless every place is one of these blocks'."""
        kinds = (SCORES, TOKENS, OUTPUT)
        unknown = set(self.places) - {f"{block.name}_{kind}" for block in blocks for kind in kinds}
        require(
            not unknown,
            f"A place is a block's name and one of {kinds}, such as {blocks[0].name}_{SCORES}. "
            f"Received: {', '.join(sorted(unknown))}",
        )

    def __contains__(self, place: tuple[Any, str]) -> bool:
        block, kind = place
        return f"{block.name}_{kind}" in self.places

    def arguments(self, block, rows: int | None) -> dict[str, Any]:
        """Return the call arguments that make a block add its taps and return what is read."""
        chosen = {"score_rows": None if (block, SCORES) in self else rows}
        for argument, kind in (("score_tap", SCORES), ("token_tap", TOKENS)):
            tap = self.places.get(f"{block.name}_{kind}")
            if tap is not None:
                chosen[argument] = tap
        return chosen

    def read(self, block, inputs: tuple, output, scores):
        """Keep what is read of a block, and return its output for the next one."""
        if (block, SCORES) in self:
            self.found[f"{block.name}_{SCORES}"] = scores
        if (block, TOKENS) in self:
            tap = self.places[f"{block.name}_{TOKENS}"]
            self.found[f"{block.name}_{TOKENS}"] = block.attention_inputs(*inputs, token_tap=tap)
        if (block, OUTPUT) in self:
            self.found[f"{block.name}_{OUTPUT}"] = output
        return ops.stop_gradient(output) if self.isolate else output


NO_TAPS = Taps()
