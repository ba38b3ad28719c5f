"""Where each token of a sequence comes from: prefix tokens first, then the patches row by row."""

import dataclasses

from kerasvit.errors import InputError


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
    """

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
