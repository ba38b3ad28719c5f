"""Finding a block in the dictionary of scores that a model returns."""

import itertools
from collections.abc import Iterable, Mapping

from kerasvit.errors import UsageError
from kerasvit.layout import BlockKey, channels_refused


def block_number(key: str) -> int:
    """Return the depth that a key names: 7 for `"sa_ffn_block_07_att"`.

    Raises:
        UsageError: if the key is none of a block's scores.
    """
    return BlockKey.parse(key).depth


def block_keys(scores: Mapping[str, object] | Iterable[str]) -> list[str]:
    """Return the keys of a stage's scores in the order of depth.

    The order comes from the number in each key, never from the dictionary: JAX's `predict` returns
    dictionaries sorted by text, where block 10 comes before block 2.

    Args:
        scores: one stage's scores, or their keys; zero-padded numbers or not.

    Returns:
        The keys, shallowest block first.

    Raises:
        UsageError: if a key holds no number, or two keys hold the same one, or one is of scores
            among channels, which no map can be made of.
    """
    scores = list(scores)
    refuse_channels(scores)
    keys = sorted(scores, key=block_number)
    for first, second in itertools.pairwise(keys):
        if block_number(first) == block_number(second):
            raise UsageError(
                "Two keys of the scores name the same block, so their order is unknown. "
                f"Received: {first!r} and {second!r}. Pass the scores of one stage only."
            )
    return keys


def refuse_channels(keys: Iterable[str]) -> None:
    """Raise `UsageError` if one of these keys is of XCiT's scores among channels."""
    for key in keys:
        if BlockKey.parse(key).is_of_channels:
            raise UsageError(channels_refused(repr(key)))


def select_block(scores: Mapping[str, object] | Iterable[str], layer: int | str) -> str:
    """Return the key of one block.

    Args:
        scores: one stage's scores, or their keys.
        layer: the block's number, which is its position in the model also where `scores` holds
            only some of the blocks; a negative number counts from the last block in `scores`;
            `"first"`, `"last"`, or a key.

    Returns:
        A key of `scores`.

    Raises:
        UsageError: if there is no such block; the message lists those there are.
    """
    keys = block_keys(scores)
    if not keys:
        raise UsageError(
            "The model returned no attention scores of this stage. A VisionTransformer has "
            "self-attention ('sa') only, and attention='none' returns no scores at all. "
            f"Received: layer={layer!r}. Choose another stage or attention mode."
        )
    if layer in ("first", "last"):
        return keys[0 if layer == "first" else -1]
    if isinstance(layer, str) and layer in keys:
        return layer
    if isinstance(layer, int) and not isinstance(layer, bool):
        by_number = {block_number(key): key for key in keys}
        by_number |= {-i: key for i, key in enumerate(reversed(keys), start=1)}
        if layer in by_number:
            return by_number[layer]
    raise UsageError(
        f"There is no such block. Received: layer={layer!r}. "
        f"Choose 'first', 'last', a number (negative from the end), or one of {', '.join(keys)}."
    )
