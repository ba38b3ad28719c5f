"""The layer that turns queries and keys by the angles of a rule."""

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from kerasvit.layers.base import (
    PACKAGE,
    ConfiguredLayer,
    or_zeros,
    require,
    require_at_least,
)
from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.rotary.rules import (
    RULES,
    Grid,
    Periods,
    axial_frequencies,
    check_periods,
    coordinates,
    rotary_tables,
)
from kerasvit.layers.rotary.traced import traced_coordinates, traced_tables
from kerasvit.layers.traced_resampling import are_known


class Rotation:
    """The angles of one grid of patches for one block, which turn its queries and keys.

    It is no tensor, so that no layer that it is handed through casts its float32 to a lower type.

    Args:
        cos, sin: float32 tensors `(N, d / 2)` or `(H, N, d / 2)`.
        layout: see `RotaryRule`.
    """

    def __init__(self, cos: Any, sin: Any, layout: str):
        self.cos, self.sin, self.layout = cos, sin, layout

    def __call__(self, heads):
        """Turn queries or keys `(B, H, N, d)`; computed in float32 at least, returned as given."""
        wide = lean_ops.widened(heads)
        if self.layout == "halves":
            half = wide.shape[-1] // 2
            first, second = wide[..., :half], wide[..., half:]
            if lean_ops.may_write_over(wide, self.cos):
                turned = self._turned_in_place(first, second)
            else:
                turned = lean_ops.concatenate(self._turned(first, second), axis=-1)
        else:
            parts = self._turned(wide[..., 0::2], wide[..., 1::2])
            turned = lean_ops.reshape(lean_ops.stack(parts, axis=-1), lean_ops.shape(wide))
        return lean_ops.cast_like(turned, heads)

    def _turned_in_place(self, first, second):
        """Do what `_turned` does with both halves written where they stay: half the passes."""
        import torch

        half = first.shape[-1]
        turned = torch.empty((*first.shape[:-1], 2 * half), dtype=first.dtype, device=first.device)
        torch.mul(first, self.cos, out=turned[..., :half]).addcmul_(second, self.sin, value=-1)
        torch.mul(second, self.cos, out=turned[..., half:]).addcmul_(first, self.sin)
        return turned

    def _turned(self, first, second):
        return (
            first * self.cos - second * self.sin,
            second * self.cos + first * self.sin,
        )


@keras.saving.register_keras_serializable(PACKAGE)
class RotaryEmbedding(ConfiguredLayer):
    """Turns the queries and keys of patches by angles that grow with the patches' coordinates.

    The scores of two patches then depend on where they are to each other. Tokens before the patches
    are not turned. Any grid has its angles: nothing is resampled, and nothing but the frequencies
    of "mixed" is a weight.

    Args:
        rope_type: name of a rule in `kerasvit.layers.rotary.rules.RULES`: "dinov3", "eva02", "pe"
            (Perception Encoder), "axial" or "mixed" (RoPE-ViT).
        head_dim: int, a multiple of 4. Width d of a head.
        temperature: float, or None for the rule's own.
        reference_grid: `(rows, columns)` that the coordinates of any grid are scaled to, as EVA-02
            and Perception Encoder want it; None to count patches as they are.
        offset: float, added to the coordinates before they are scaled.
        periods: of "dinov3": "float32", as its formula gives them; "bfloat16", rounded as they are
            in the files of DINOv3; or their `d / 4` values.
        num_blocks, num_heads: of "mixed", whose blocks and heads have frequencies of their own.

    Call arguments:
        heads: float tensor `(B, H, N, d)`, queries or keys.
        grid: `(rows, columns)` of the patches.
        block: int. The block whose frequencies count.

    Returns:
        Tensor of the same shape: the last `rows * columns` tokens turned, the others as they are.

    Raises:
        ValueError: if the rule is unknown, or an argument does not fit it.

    Source: Su et al. 2021 (https://arxiv.org/abs/2104.09864); EVA-02: Fang et al. 2023
    (https://arxiv.org/abs/2303.11331); RoPE-ViT: Heo et al. 2024
    (https://arxiv.org/abs/2403.13298); Perception Encoder: Bolya et al. 2025
    (https://arxiv.org/abs/2504.13181); DINOv3: Simeoni et al. 2025
    (https://arxiv.org/abs/2508.10104); reference timm/layers/pos_embed_sincos.py.
    """

    frequencies: keras.Variable

    def __init__(
        self,
        rope_type: str,
        head_dim: int,
        temperature: float | None = None,
        reference_grid: Grid | None = None,
        offset: float = 0.0,
        periods: Periods = "float32",
        num_blocks: int = 1,
        num_heads: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require(
            rope_type in RULES,
            f"rope_type must be one of {tuple(RULES)}. Received: rope_type={rope_type!r}",
        )
        require_at_least(1, head_dim=head_dim, num_blocks=num_blocks, num_heads=num_heads)
        require(
            head_dim % 4 == 0,
            "Rotary positions need heads whose width is a multiple of 4. Received: "
            f"head_dim={head_dim}",
        )
        self.rope_type = rope_type
        self.head_dim = head_dim
        self.temperature = temperature
        self.reference_grid: Grid | None = None
        if reference_grid is not None:
            rows, columns = reference_grid
            self.reference_grid = rows, columns
        self.offset = offset
        self.periods = periods if isinstance(periods, str) else [float(one) for one in periods]
        self.num_blocks = num_blocks
        self.num_heads = num_heads
        self.rule = RULES[rope_type]
        if temperature is not None:
            self.rule = dataclasses.replace(self.rule, temperature=temperature)
        check_periods(self.periods, head_dim)

    def build(self, input_shape=None):
        """Create the frequencies, where they are learned."""
        if self.rule.is_learned:
            self.frequencies = self.add_weight(
                name="frequencies",
                shape=(2, self.num_blocks, self.num_heads, self.head_dim // 2),
                initializer=or_zeros(self._random_frequencies),
                autocast=False,
            )
        self.built = True

    def _random_frequencies(self, shape, dtype=None):
        """Return the frequencies of "axial", turned by a random angle for each block and head.

        Source: Heo et al. 2024, section 3.2; rope-vit/deit/models_v2_rope.py.
        """
        scale = ops.convert_to_tensor(axial_frequencies(self.head_dim, self.rule.temperature))
        angles = 2 * math.pi * keras.random.uniform((*shape[1:3], 1))
        angles = ops.concatenate([angles, angles + math.pi / 2], axis=-1)[..., None]
        waves = ops.stack([ops.cos(angles), ops.sin(angles)])
        return ops.cast(ops.reshape(waves * scale, shape), dtype)

    def call(self, heads, grid=None, block=0):
        """Turn the patches of a grid; square if none is given."""
        length = heads.shape[2]
        rows, columns = grid or (math.isqrt(length),) * 2
        return self.rotations((rows, columns), length - rows * columns)[block](heads)

    def rotations(self, grid: Grid, num_prefix: int) -> list[Rotation]:
        """Return the rotation of each block, `num_blocks` of them.

        Args:
            grid: `(rows, columns)` of the patches.
            num_prefix: number of tokens before the patches, which are not turned.
        """
        if self.rule.is_learned:
            return self._learned_rotations(grid, num_prefix)
        periods = self.periods if isinstance(self.periods, str) else tuple(self.periods)
        make = rotary_tables if are_known(*grid) else traced_tables
        tables = make(
            self.rule, self.head_dim, grid, num_prefix, self.reference_grid, self.offset, periods
        )
        cos, sin = (ops.convert_to_tensor(table) for table in tables)
        return [Rotation(cos, sin, self.rule.layout)] * self.num_blocks

    def _learned_rotations(self, grid, num_prefix):
        make = coordinates if are_known(*grid) else traced_coordinates
        places = ops.convert_to_tensor(make(self.rule, grid, self.reference_grid, self.offset))
        # A token at the origin is not turned.
        places = ops.concatenate([ops.zeros((num_prefix, 2), places.dtype), places], axis=0)
        first, second = (
            ops.cast(part, "float32")[:, :, None]
            for part in (self.frequencies[0], self.frequencies[1])
        )
        angles = places[:, :1] * first + places[:, 1:] * second
        cos, sin = ops.cos(angles), ops.sin(angles)
        return [Rotation(cos[i], sin[i], self.rule.layout) for i in range(self.num_blocks)]

    def compute_output_shape(self, input_shape):
        """Return the shape of the heads, unchanged."""
        return input_shape
