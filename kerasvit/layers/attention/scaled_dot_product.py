"""Scaled dot-product attention: written out where the scores are wanted, fused where not."""

import functools
import math

import keras
from keras import ops

from kerasvit.layers.primitives import lean_ops
from kerasvit.layers.primitives.devices import is_jax_on_cpu
from kerasvit.layers.primitives.fusing import fused_in_graphs

QUERY_CHUNK = 256
# glibc maps a block of this size anew for each thread but the first, whatever it is told to keep.
LARGE_BLOCK = 64 * 2**20


def split_heads(tokens, num_heads: int):
    """Reshape `(B, N, D)` to `(B, H, N, D / H)`."""
    batch, length, width = lean_ops.shape(tokens)
    heads = lean_ops.reshape(tokens, (batch, length, num_heads, width // num_heads))
    return lean_ops.transpose(heads, (0, 2, 1, 3))


def split_joint_heads(joint, num_parts: int, num_heads: int):
    """Split a joint projection `(B, N, parts * D)` into `parts` tensors `(B, H, N, D / H)`."""
    batch, length, width = lean_ops.shape(joint)
    dim = width // (num_parts * num_heads)
    heads = lean_ops.reshape(joint, (batch, length, num_parts, num_heads, dim))
    heads = lean_ops.transpose(heads, (2, 0, 3, 1, 4))
    return lean_ops.unstack(heads, num_parts)


def merge_heads(heads):
    """Reshape `(B, H, N, d)` to `(B, N, H * d)`."""
    batch, num_heads, length, dim = lean_ops.shape(heads)
    return lean_ops.reshape(
        lean_ops.transpose(heads, (0, 2, 1, 3)), (batch, length, num_heads * dim)
    )


def attention_scores(query, key, bias=None):
    """Softmax over the keys of the scaled products.

    Args:
        query: tensor `(B, H, Q, d)`.
        key: tensor `(B, H, N, d)`.
        bias: tensor `(H, Q, N)` that is added to the products, or None.

    Returns:
        Tensor `(B, H, Q, N)`; each row sums to 1.
    """
    scale = query.shape[-1] ** -0.5
    logits = lean_ops.matmul(query * scale, lean_ops.transpose(key, (0, 1, 3, 2)))
    return softmax(logits if bias is None else logits + lean_ops.cast_like(bias, logits))


@functools.partial(fused_in_graphs, is_kept=True)
def attention(query, key, value):
    """Attend with every score written out.

    Args:
        query, key, value: tensors `(B, H, N, d)`.

    Returns:
        heads: `(B, H, N, d)`.
        scores: `(B, H, N, N)`, see `attention_scores`.
    """
    if is_jax_on_cpu() and _are_large((*query.shape[:3], key.shape[2])):
        return attention_by_sample(query, key, value)
    return attention_at_once(query, key, value)


def attention_at_once(query, key, value):
    """See `attention`; the whole batch in one."""
    scores = attention_scores(query, key)
    return lean_ops.matmul(scores, value), scores


def attention_by_sample(query, key, value):
    """See `attention`; one sample after the other.

    JAX on a CPU gets large blocks from the system anew for each pass, and here there are fewer of
    them: ViT-S/8 at batch 8 takes 3.6 s instead of 4.2. Where scores are smaller, it is slower.
    """

    def attend(sample):
        heads, scores = attention_at_once(*(part[None] for part in sample))
        return heads[0], scores[0]

    return ops.map(attend, (query, key, value))


def _are_large(shape) -> bool:
    return all(isinstance(size, int) for size in shape) and 4 * math.prod(shape) > LARGE_BLOCK


def softmax(logits):
    """Softmax over the last axis, in float32 at least, returned in the dtype of the logits.

    The logits are used up: PyTorch, where it needs no gradient, writes over them.
    TensorFlow and JAX would sum a row of bfloat16 in bfloat16, and miss 1 by more than 1 percent.
    """
    if lean_ops.are_torch(logits):
        return _torch_softmax(logits)
    wide = keras.backend.result_type(logits.dtype, "float32")
    return ops.cast(ops.softmax(ops.cast(logits, wide), axis=-1), logits.dtype)


def fused_attention(query, key, value):
    """Attention without scores, in memory that does not grow with the square of the tokens.

    PyTorch has a fused kernel. The other backends' own call allocates all scores on a CPU, so long
    sequences are worked off in chunks of queries.

    Args:
        query, key, value: tensors `(B, H, N, d)`.

    Returns:
        Tensor `(B, H, N, d)`.

    Source: Dao et al. 2022 (https://arxiv.org/abs/2205.14135) for the fused kernels; chunks of
    queries: Rabe and Staats 2021 (https://arxiv.org/abs/2112.05682).
    """
    if keras.backend.backend() == "torch":
        return _torch_fused_attention(query, key, value)
    return chunked_attention(query, key, value)


def biased_attention(query, key, value, bias):
    """Attend with a bias of the products; a fused kernel does it where there is one.

    Args:
        query: tensor `(B, H, Q, d)`.
        key, value: tensors `(B, H, N, d)`.
        bias: tensor `(H, Q, N)`.

    Returns:
        Tensor `(B, H, Q, d)`.
    """
    if keras.backend.backend() == "torch":
        from torch.nn.functional import scaled_dot_product_attention

        mask = lean_ops.cast_like(bias, query)[None]
        return scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return lean_ops.matmul(attention_scores(query, key, bias), value)


def chunked_attention(query, key, value):
    """Attention written out for `QUERY_CHUNK` queries at a time; see `fused_attention`."""
    return by_query_chunks(lambda rows: attention(rows, key, value)[0], query)


def by_query_chunks(function, query):
    """Apply a function to `QUERY_CHUNK` rows of the queries at a time.

    Args:
        function: takes queries `(B, H, Q, d)` and returns as many rows `(B, H, Q, e)`.
        query: tensor `(B, H, N, d)`. A length that is unknown while tracing is not divided.

    Returns:
        Tensor `(B, H, N, e)`.
    """
    length = query.shape[2]
    if not isinstance(length, int) or length <= QUERY_CHUNK:
        return function(query)
    chunks = scan_chunks if keras.backend.backend() == "jax" else unrolled_chunks
    return chunks(function, query)


def unrolled_chunks(function, query):
    """See `by_query_chunks`; the program has a call for each chunk."""
    starts = range(0, query.shape[2], QUERY_CHUNK)
    return ops.concatenate(
        [function(query[:, :, start : start + QUERY_CHUNK]) for start in starts], axis=2
    )


def scan_chunks(function, query):
    """See `by_query_chunks`; the program has one call, in a loop.

    XLA for JAX works on several of the unrolled calls at once, with the memory of them all.
    """
    count, rest = divmod(query.shape[2], QUERY_CHUNK)
    divided = count * QUERY_CHUNK
    rows = join_rows(ops.map(function, split_rows(query[:, :, :divided], count)))
    if not rest:
        return rows
    return ops.concatenate([rows, function(query[:, :, divided:])], axis=2)


def split_rows(query, count: int):
    """Reshape `(B, H, count * Q, d)` to `(count, B, H, Q, d)`."""
    batch, num_heads, length, dim = query.shape
    rows = ops.reshape(query, (batch, num_heads, count, length // count, dim))
    return ops.moveaxis(rows, 2, 0)


def join_rows(rows):
    """Undo `split_rows`."""
    count, batch, num_heads, length, dim = rows.shape
    return ops.reshape(ops.moveaxis(rows, 0, 2), (batch, num_heads, count * length, dim))


def _torch_fused_attention(query, key, value):
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query, key, value)


def _torch_softmax(logits):
    """PyTorch adds rows of half precision in float32 itself: as exact, in a fifth of the time."""
    import torch

    # In place: a second tensor of this size costs half the memory of all scores again.
    return torch.softmax(logits, -1, out=logits if lean_ops.may_write_over(logits) else None)
