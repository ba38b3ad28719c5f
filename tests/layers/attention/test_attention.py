"""The three attentions against timm's, and what their scores promise."""

import contextlib

import numpy as np
import pytest

from kerasvit.layers import ClassAttention, SelfAttention, TalkingHeadsAttention
from kerasvit.layers.attention import scaled_dot_product

ATTENTIONS = (SelfAttention, TalkingHeadsAttention, ClassAttention)
WIDTH, LENGTH = 12, 16
SHAPE = (2, LENGTH, WIDTH)


@contextlib.contextmanager
def _inputs_of(module):
    """Collect what is given to a torch module, such as the scores to the dropout after them."""
    kept = []
    handle = module.register_forward_hook(lambda _, inputs, __: kept.append(inputs[0].numpy()))
    yield kept
    handle.remove()


def _copy_projections(tools, layer, reference, names):
    for ours, theirs in names.items():
        tools.copy_dense(getattr(layer, ours), getattr(reference, theirs))


def _close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("use_qkv_bias", "use_projection_bias", "use_qk_norm"),
    [(True, True, False), (False, True, False), (True, False, True)],
)
def test_self_attention_equals_timms(
    tools, timm, batch, use_qkv_bias, use_projection_bias, use_qk_norm
):
    import torch

    layer = SelfAttention(
        3,
        use_qkv_bias=use_qkv_bias,
        use_projection_bias=use_projection_bias,
        use_qk_norm=use_qk_norm,
        layer_norm_epsilon=1e-3,
    )
    tools.built(layer, SHAPE)
    reference = timm.layers.Attention(
        WIDTH,
        3,
        qkv_bias=use_qkv_bias,
        proj_bias=use_projection_bias,
        qk_norm=use_qk_norm,
        norm_layer=lambda width, **kwargs: torch.nn.LayerNorm(width, eps=1e-3, **kwargs),
    )
    reference.fused_attn = False
    _copy_projections(tools, layer, reference, {"qkv": "qkv", "projection": "proj"})
    if use_qk_norm:
        tools.copy_norm(layer.query_norm, reference.q_norm)
        tools.copy_norm(layer.key_norm, reference.k_norm)
    tokens = tools.random_tokens(batch, LENGTH, WIDTH)
    with _inputs_of(reference.attn_drop) as scores:
        expected = tools.run_torch(reference, tokens)
    outputs, ours = map(tools.to_numpy, layer(tokens))
    _close(outputs, expected)
    _close(ours, scores[0])


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("use_qkv_bias", [True, False])
def test_talking_heads_attention_equals_timms(tools, timm, batch, use_qkv_bias):
    layer = tools.built(TalkingHeadsAttention(3, use_qkv_bias=use_qkv_bias), SHAPE)
    reference = timm.models.cait.TalkingHeadAttn(WIDTH, 3, qkv_bias=use_qkv_bias)
    names = {"qkv": "qkv", "projection": "proj"}
    names |= {"mixing_before": "proj_l", "mixing_after": "proj_w"}
    _copy_projections(tools, layer, reference, names)
    tokens = tools.random_tokens(batch, LENGTH, WIDTH)
    with _inputs_of(reference.attn_drop) as after, _inputs_of(reference.proj_w) as before:
        expected = tools.run_torch(reference, tokens)
    outputs, ours = map(tools.to_numpy, layer(tokens))
    _close(outputs, expected)
    _close(ours, after[0])
    outputs, ours = map(tools.to_numpy, layer(tokens, scores_before_mixing=True))
    _close(outputs, expected)
    _close(ours, before[0].transpose(0, 3, 1, 2))


@pytest.mark.backend
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("use_qkv_bias", [True, False])
def test_class_attention_equals_timms(tools, timm, batch, use_qkv_bias):
    layer = tools.built(ClassAttention(3, use_qkv_bias=use_qkv_bias), SHAPE)
    reference = timm.models.cait.ClassAttn(WIDTH, 3, qkv_bias=use_qkv_bias)
    reference.fused_attn = False
    names = {"query": "q", "key": "k", "value": "v", "projection": "proj"}
    _copy_projections(tools, layer, reference, names)
    tokens = tools.random_tokens(batch, LENGTH, WIDTH)
    with _inputs_of(reference.attn_drop) as scores:
        expected = tools.run_torch(reference, tokens)
    outputs, ours = map(tools.to_numpy, layer(tokens))
    assert outputs.shape == (batch, 1, WIDTH)
    assert ours.shape == (batch, 3, 1, LENGTH)
    _close(outputs, expected)
    _close(ours, scores[0])


@pytest.mark.backend
@pytest.mark.parametrize(("batch", "chunk"), [(1, 100), (2, 5), (2, LENGTH), (2, 100), (8, 100)])
def test_asking_for_fewer_score_rows_changes_neither_them_nor_the_output(
    tools, monkeypatch, batch, chunk
):
    """Full scores are written out; fewer rows leave the attention to the fused way."""
    monkeypatch.setattr(scaled_dot_product, "QUERY_CHUNK", chunk)
    layer = tools.built(SelfAttention(3), SHAPE)
    tokens = tools.random_tokens(batch, LENGTH, WIDTH)
    outputs, scores = map(tools.to_numpy, layer(tokens))
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)
    for rows in (0, 1, 2):
        fused_outputs, fused_scores = layer(tokens, score_rows=rows)
        scale = np.abs(outputs).max()
        np.testing.assert_allclose(
            tools.to_numpy(fused_outputs), outputs, rtol=0, atol=1e-6 * scale
        )
        if rows == 0:
            assert fused_scores is None
            continue
        assert fused_scores.shape == (batch, 3, rows, LENGTH)
        np.testing.assert_allclose(tools.to_numpy(fused_scores), scores[:, :, :rows], atol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("attention", [TalkingHeadsAttention, ClassAttention])
def test_no_score_rows_means_none_and_the_same_output(tools, attention):
    layer = tools.built(attention(3), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    outputs, nothing = layer(tokens, score_rows=0)
    assert nothing is None
    np.testing.assert_array_equal(tools.to_numpy(outputs), tools.to_numpy(layer(tokens)[0]))


@pytest.mark.backend
@pytest.mark.parametrize("score_rows", [None, 1])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_scores_are_those_before_dropout(tools, attention, score_rows):
    layer = tools.built(attention(3, attention_dropout_rate=0.5), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    at_rest, scores = map(tools.to_numpy, layer(tokens, score_rows=score_rows))
    training, kept = map(tools.to_numpy, layer(tokens, score_rows=score_rows, training=True))
    np.testing.assert_allclose(kept, scores, atol=1e-6)
    assert np.abs(training - at_rest).max() > 1e-2
    if attention is not TalkingHeadsAttention:
        np.testing.assert_allclose(kept.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.backend
def test_training_drops_scores_also_when_none_are_asked_for(tools):
    layer = tools.built(SelfAttention(3, attention_dropout_rate=0.5), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    at_rest, training = (
        tools.to_numpy(layer(tokens, score_rows=0, training=mode)[0]) for mode in (False, True)
    )
    assert np.abs(training - at_rest).max() > 1e-2


@pytest.mark.backend
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_output_dropout_acts_in_training_alone(tools, attention):
    layer = tools.built(attention(3, dropout_rate=0.5), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    assert (tools.to_numpy(layer(tokens)[0]) != 0).all()
    dropped = [tools.to_numpy(layer(tokens, training=True)[0]) == 0 for _ in range(8)]
    assert 0.3 < np.mean(dropped) < 0.7


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_permuting_the_patches_permutes_the_scores(tools, attention):
    layer = tools.built(attention(3), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    order = np.concatenate([[0], 1 + np.random.default_rng(3).permutation(LENGTH - 1)])
    outputs, scores = map(tools.to_numpy, layer(tokens))
    permuted_outputs, permuted = map(tools.to_numpy, layer(tokens[:, order]))
    class_row_alone = attention is ClassAttention
    rows = slice(None) if class_row_alone else order
    np.testing.assert_allclose(permuted, scores[..., order][:, :, rows], atol=2e-6)
    np.testing.assert_allclose(permuted_outputs, outputs[:, rows], atol=5e-5)


def test_mixed_scores_are_the_mixing_of_the_probabilities(tools):
    layer = tools.built(TalkingHeadsAttention(3), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    mixed = tools.to_numpy(layer(tokens)[1])
    probabilities = tools.to_numpy(layer(tokens, scores_before_mixing=True)[1])
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-6)
    kernel, bias = map(tools.to_numpy, (layer.mixing_after.kernel, layer.mixing_after.bias))
    expected = np.einsum("bhqk,hg->bgqk", probabilities, kernel) + bias[:, None, None]
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_the_bias_of_the_mixing_before_the_softmax_cancels(tools, training):
    layer = tools.built(TalkingHeadsAttention(3), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    layer.mixing_before.bias.assign([0, 0, 0])
    without = tools.to_numpy(layer(tokens, training=training)[0])
    layer.mixing_before.bias.assign([3, -2, 5])
    biased = tools.to_numpy(layer(tokens, training=training)[0])
    np.testing.assert_allclose(biased, without, rtol=0, atol=2e-5)


@pytest.mark.backend
def test_every_weight_of_talking_heads_gets_a_gradient_in_training(tools):
    """That of the cancelling bias is zero; a missing one would make TensorFlow warn each epoch."""
    import keras

    layer = tools.built(TalkingHeadsAttention(3), SHAPE)
    tokens = tools.random_tokens(*SHAPE)
    found = tools.gradients(layer, lambda: keras.ops.sum(layer(tokens, training=True)[0] ** 2))
    assert all(gradient is not None for gradient in found.values())
    bias = found.pop("mixing_before/bias")
    largest = max(np.abs(gradient).max() for gradient in found.values())
    assert np.abs(bias).max() < 1e-5 * largest
    # The keys' bias cancels in the softmax too, so that a part of the joint bias has no gradient.
    assert all(np.abs(gradient).max() > 1e-3 for gradient in found.values())


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide the token width"),
        ({"num_heads": 0}, "num_heads must divide the token width"),
        ({"num_heads": 3, "attention_dropout_rate": 1.0}, "attention_dropout_rate must lie in"),
        ({"num_heads": 3, "attention_dropout_rate": -0.5}, "attention_dropout_rate must lie in"),
        ({"num_heads": 3, "dropout_rate": 1.5}, "dropout_rate must lie in"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(attention, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        attention(**arguments).build(SHAPE)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)
