"""What scores are called, and where each token of a sequence comes from."""

import dataclasses
import functools
import re
from typing import ClassVar, NoReturn, Self

from kerasvit.errors import InputError, UsageError

# Stages of attention in the order of depth, and what an error or a picture calls them.
STAGES = {"sa": "self-attention", "xca": "channel attention", "ca": "class attention"}

_KEY = re.compile(r"(?P<stage>[a-z]+)_(?P<kind>[a-z]+)_block_(?P<depth>\d+)(_[a-z]+)?")


@functools.total_ordering
@dataclasses.dataclass(frozen=True)
class BlockKey:
    """The name of a block, by which its scores are found: `"sa_ffn_block_07_att"`.

    Keys are ordered by depth: blocks of self-attention, or of the attention among channels that
    XCiT has in its place, first; those of class attention after them.

    Args:
        stage: a key of `STAGES`.
        depth: number of the block in its stage, from 0.
        kind: "ffn", or "pooling" for attention pooling.
    """

    stage: str
    depth: int
    kind: str = "ffn"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the key that a block's name, its scores' name or a tap's place stands for.

        Args:
            name: such as `"ca_ffn_block_00_att"`; the number may lack its zeros.

        Raises:
            UsageError: if it is no such name.
        """
        match = _KEY.fullmatch(name)
        if match is None or match["stage"] not in STAGES:
            raise UsageError(
                "A key of the scores must hold the stage and the number of its block, as in "
                f"'sa_ffn_block_00_att'. Received: {name!r}. Pass the second or third output of "
                "the model as it is."
            )
        return cls(match["stage"], int(match["depth"]), match["kind"])

    @property
    def is_of_channels(self) -> bool:
        """Whether the block's scores are among channels, `(B, H, d, d)`, not tokens."""
        return self.stage == "xca"

    @property
    def block(self) -> str:
        """Name of the block, such as `"sa_ffn_block_07"`."""
        return f"{self.stage}_{self.kind}_block_{self.depth:02d}"

    def place(self, kind: str) -> str:
        """Return the name of a tap's place at the block, see `kerasvit.models.taps.Taps`."""
        return f"{self.block}_{kind}"

    def __str__(self) -> str:
        """Return the name of the block's scores."""
        return self.place("att")

    def __lt__(self, other: Self) -> bool:
        return self._position < other._position

    @property
    def _position(self) -> tuple[int, int]:
        return tuple(STAGES).index(self.stage), self.depth


@dataclasses.dataclass(frozen=True)
class TokenLayout:
    """The meaning of the token axis of a score tensor or a feature tensor.

    Args:
        prefix: names of the tokens before the patches, in order, such as
            `("class",)`, `("class", "distillation")` or `("class", "register_0", ...)`.
        grid: `(rows, columns)` of the patches, which follow in row-major order.
        patch_size: `(height, width)` of one patch in pixels of the model's input.
        has_learned_query: whether what asks is no token but a learned query, as in attention
            pooling: the scores then have one row.

    Attributes:
        axis: "tokens"; "channels" of a `ChannelLayout`.
    """

    axis: ClassVar[str] = "tokens"

    prefix: tuple[str, ...]
    grid: tuple[int, int]
    patch_size: tuple[int, int]
    has_learned_query: bool = False

    @property
    def num_prefix(self) -> int:
        """Number of tokens before the patches."""
        return len(self.prefix)

    @property
    def num_patches(self) -> int:
        """Number of patch tokens, rows times columns."""
        return self.grid[0] * self.grid[1]

    @property
    def num_tokens(self) -> int:
        """Length of the token axis."""
        return self.num_prefix + self.num_patches

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of the part of the input that the patches cover."""
        return self.grid[0] * self.patch_size[0], self.grid[1] * self.patch_size[1]

    def check(self, num_tokens: int) -> None:
        """Raise `InputError` unless a token axis of this length fits the layout."""
        if num_tokens != self.num_tokens:
            raise InputError(
                f"The token axis does not fit the layout: {self.num_prefix} prefix tokens and a "
                f"grid of {self.grid[0]}x{self.grid[1]} patches make {self.num_tokens} tokens. "
                f"Received: {num_tokens}. Pass the layout of the model that made the scores: "
                "model.token_layout(image_shape)."
            )


class ChannelLayout(TokenLayout):
    """The meaning of the axes of scores among channels: no tokens, no grid, no prefix.

    It stands where a `TokenLayout` is expected, and refuses whatever is asked of one, so that no
    `d x d` matrix of channels is drawn as a picture of patches.

    Args:
        num_channels: of one head, d.
    """

    axis = "channels"

    def __init__(self, num_channels: int):
        object.__setattr__(self, "num_channels", num_channels)

    def _refuse(self) -> NoReturn:
        raise UsageError(channels_refused(f"a layout of {vars(self)['num_channels']} channels"))

    prefix = property(_refuse)
    grid = property(_refuse)
    patch_size = property(_refuse)

    def check(self, num_tokens: int) -> None:
        """Refuse: there is no token axis."""
        self._refuse()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChannelLayout) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"ChannelLayout(num_channels={vars(self)['num_channels']})"


def channels_refused(received: str) -> str:
    """Return the message of the error that all raise who are given scores among channels.

    Args:
        received: what was given, in words.
    """
    return (
        "XCiT's channel attention weighs channels, not tokens: no map of the picture can be made "
        f"of it. Received: {received}. Take the class attention's scores, ca_ffn_block_00_att"
    )
