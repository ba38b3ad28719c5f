"""Attention written out, in chunks and fused, against torch's."""

import keras
import numpy as np
import pytest
from closeness import assert_close

from kerasvit.layers.attention import scaled_dot_product
from kerasvit.layers.attention.scaled_dot_product import (
    attention,
    attention_at_once,
    attention_by_sample,
    attention_scores,
    chunked_attention,
    fused_attention,
    merge_heads,
    scan_chunks,
    split_heads,
    split_joint_heads,
    unrolled_chunks,
)

pytestmark = pytest.mark.backend


def _heads(tools, batch, length, rows=None):
    """Query, key and value of three heads; products spread widely, so that rows are not flat."""
    lengths = (rows or length, length, length)
    return [3 * tools.random_tokens(batch, 3, n, 4, seed=seed) for seed, n in enumerate(lengths)]


def _run(tools, attention, heads):
    return tools.to_numpy(attention(*map(keras.ops.convert_to_tensor, heads)))


def _torch_attention(*heads):
    import torch

    tensors = (torch.tensor(array, dtype=torch.float64) for array in heads)
    return torch.nn.functional.scaled_dot_product_attention(*tensors).numpy()


def test_merging_undoes_splitting(tools):
    tokens = tools.random_tokens(2, 5, 12)
    heads = split_heads(tokens, 3)
    assert tuple(heads.shape) == (2, 3, 5, 4)
    np.testing.assert_array_equal(tools.to_numpy(heads)[1, 2, 3], tokens[1, 3, 8:12])
    np.testing.assert_array_equal(tools.to_numpy(merge_heads(heads)), tokens)


def test_a_joint_projection_splits_into_its_parts(tools):
    joint = tools.random_tokens(2, 5, 36)
    for part, heads in enumerate(split_joint_heads(joint, 3, 3)):
        alone = split_heads(joint[..., 12 * part : 12 * part + 12], 3)
        np.testing.assert_array_equal(tools.to_numpy(heads), tools.to_numpy(alone))


@pytest.mark.parametrize(("batch", "rows"), [(1, 16), (2, 16), (2, 1)])
def test_scores_are_a_softmax_over_the_keys(tools, batch, rows):
    query, key, _ = _heads(tools, batch, 16, rows)
    scores = _run(tools, attention_scores, (query, key))
    logits = np.einsum("bhqd,bhkd->bhqk", query, key, dtype=np.float64) / 2
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = powers / powers.sum(axis=-1, keepdims=True)
    assert_close(scores, expected, 64)  # the logits' own roundings are the exponents
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_fused_attention_equals_torchs(tools, batch):
    heads = _heads(tools, batch, 16)
    ours = _run(tools, fused_attention, heads)
    assert_close(ours, _torch_attention(*heads))


@pytest.mark.parametrize(("batch", "chunk"), [(1, 5), (2, 5), (8, 5), (2, 1), (2, 16), (2, 17)])
def test_attention_in_any_chunks_equals_torchs(tools, monkeypatch, batch, chunk):
    monkeypatch.setattr(scaled_dot_product, "QUERY_CHUNK", chunk)
    heads = _heads(tools, batch, 16)
    ours = _run(tools, chunked_attention, heads)
    assert_close(ours, _torch_attention(*heads))


@pytest.mark.parametrize("limit", [0, 4 * 2 * 3 * 16 * 16, 2**40])
def test_attention_equals_torchs_whatever_counts_as_large(tools, monkeypatch, limit):
    monkeypatch.setattr(scaled_dot_product, "LARGE_BLOCK", limit)
    heads = _heads(tools, 2, 16)
    ours = _run(tools, lambda *tensors: attention(*tensors)[0], heads)
    assert_close(ours, _torch_attention(*heads))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the others never do it")
@pytest.mark.parametrize(("below", "loops"), [(1, 1), (0, 0)])
def test_large_scores_are_worked_off_by_sample_on_jax(tools, monkeypatch, below, loops):
    import jax

    monkeypatch.setattr(scaled_dot_product, "LARGE_BLOCK", 4 * 2 * 3 * 16 * 16 - below)
    # A function of its own: JAX remembers the programs of one that it has seen.
    program = jax.make_jaxpr(lambda *heads: attention(*heads))(*_heads(tools, 2, 16))
    assert str(program).count("scan[") == loops


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_attention_by_sample_equals_attention_at_once(tools, batch):
    heads = list(map(keras.ops.convert_to_tensor, _heads(tools, batch, 16)))
    for ours, expected in zip(attention_by_sample(*heads), attention_at_once(*heads), strict=True):
        assert_close(tools.to_numpy(ours), tools.to_numpy(expected))


@pytest.mark.parametrize("chunks", [scan_chunks, unrolled_chunks])
@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("length", [10, 12])  # of chunks of five: without and with a remainder
def test_both_ways_of_chunking_equal_the_function(tools, monkeypatch, chunks, batch, length):
    monkeypatch.setattr(scaled_dot_product, "QUERY_CHUNK", 5)
    query, key, value = map(keras.ops.convert_to_tensor, _heads(tools, batch, length))

    def attend(rows):
        return attention(rows, key, value)[0]

    expected, ours = attend(query), chunks(attend, query)
    assert_close(tools.to_numpy(ours), tools.to_numpy(expected))


@pytest.mark.parametrize(
    "attention", [fused_attention, chunked_attention, lambda *heads: attention(*heads)[0]]
)
def test_a_sequence_longer_than_the_real_chunk_equals_torchs(tools, attention):
    heads = _heads(tools, 2, scaled_dot_product.QUERY_CHUNK + 9)
    ours = _run(tools, attention, heads)
    assert_close(ours, _torch_attention(*heads))


def test_large_products_neither_overflow_nor_lose_a_row(tools):
    query, key, _ = _heads(tools, 1, 16)
    scores = _run(tools, attention_scores, (1000 * query, key))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)
