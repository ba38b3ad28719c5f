import numpy as np
import pytest
from closeness import assert_close

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.explain import explain, explain_blocks
from kerasvit.saliency.gradients import attention_gradients
from kerasvit.saliency.methods.headwise import weighed_heads
from kerasvit.saliency.methods.relevance import carry_back, late_attention, relevance

RNG = np.random.default_rng(3)


def random_blocks(layout, depth=3, class_layers=0):
    tokens, patches = layout.num_tokens, layout.num_patches
    scores = {f"sa_ffn_block_{i:02d}_att": RNG.random((2, 3, tokens, tokens)) for i in range(depth)}
    for index in range(class_layers):
        scores[f"ca_ffn_block_{index:02d}_att"] = RNG.random((2, 3, 1, 1 + patches))
    return scores, {key: RNG.normal(size=value.shape) for key, value in scores.items()}


def positive_part(scores, gradients, key):
    return np.maximum(scores[key] * gradients[key], 0).mean(axis=1)


def whole_matrix(matrices):
    """R after R <- R + M R, the first block first, as the paper writes it."""
    result = np.eye(matrices[0].shape[-1])[None]
    for matrix in matrices:
        result = result + matrix @ result
    return result


@pytest.mark.parametrize("prefix", [(), ("class",), ("class", "distillation"), ("class", "r0")])
@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
def test_relevance_is_a_row_of_the_papers_matrix(prefix, grid):
    layout = TokenLayout(prefix, grid, (4, 4))
    scores, gradients = random_blocks(layout)
    matrix = whole_matrix([positive_part(scores, gradients, key) for key in scores])
    query = "class" if prefix else (1, 2)
    row = 0 if prefix else grid[1] + 2
    found = relevance(scores, gradients, layout, query)
    expected = matrix[:, row, layout.num_prefix :].reshape(2, *grid)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_with_class_attention_the_rows_of_patches_are_constant_there():
    layout = TokenLayout((), (3, 5), (4, 4))
    scores, gradients = random_blocks(layout, 2, 2)
    matrices = []
    for key in scores:
        block = positive_part(scores, gradients, key)
        embedded = np.zeros((2, 16, 16))
        if key.startswith("ca"):
            embedded[:, :1] = block
        else:
            embedded[:, 1:, 1:] = block
        matrices.append(embedded)
    expected = whole_matrix(matrices)[:, 0, 1:].reshape(2, 3, 5)
    np.testing.assert_allclose(relevance(scores, gradients, layout), expected, rtol=1e-5)


def test_the_order_of_the_dictionary_does_not_matter():
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    scores, gradients = random_blocks(layout, 12)
    shuffled = {key: scores[key] for key in sorted(scores, key=hash)}
    unpadded = {f"sa_ffn_block_{i}_att": value for i, value in enumerate(scores.values())}
    steep = {f"sa_ffn_block_{i}_att": value for i, value in enumerate(gradients.values())}
    expected = relevance(scores, gradients, layout)
    np.testing.assert_array_equal(relevance(shuffled, gradients, layout), expected)
    sorted_as_text = dict(sorted(unpadded.items()))
    np.testing.assert_array_equal(relevance(sorted_as_text, steep, layout), expected)


def test_without_gradients_nothing_is_relevant_and_one_block_adds_its_own():
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    scores, gradients = random_blocks(layout, 1)
    zeros = {key: 0 * value for key, value in gradients.items()}
    assert not relevance(scores, zeros, layout).any()
    (key,) = scores
    own = positive_part(scores, gradients, key)[:, 0, 1:].reshape(2, 3, 5)
    np.testing.assert_allclose(relevance(scores, gradients, layout), own, rtol=1e-5)


def test_scores_of_another_grid_are_refused():
    scores, gradients = random_blocks(TokenLayout(("class",), (3, 5), (4, 4)))
    with pytest.raises(InputError, match="fit the layout"):
        relevance(scores, gradients, TokenLayout(("class",), (3, 6), (4, 4)))


def test_heads_weigh_what_their_gradients_say():
    scores, gradients = RNG.random((2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))
    expected = np.zeros((2, 4, 5))
    for image in range(2):
        heads = list(zip(scores[image], gradients[image], strict=True))
        shares = np.array([np.abs(a.T @ g).mean() for a, g in heads])
        for share, (a, _) in zip(shares / shares.sum(), heads, strict=True):
            expected[image] += share * a
    np.testing.assert_allclose(weighed_heads(scores, gradients), expected, rtol=1e-5)
    # Where no head matters they count alike.
    np.testing.assert_allclose(weighed_heads(scores, 0 * gradients), scores.mean(axis=1), rtol=1e-6)


def test_equal_attention_spreads_relevance_evenly():
    layout = TokenLayout((), (2, 3), (4, 4))
    blocks = {f"sa_ffn_block_0{i}_att": None for i in range(3)}
    even = np.full((1, 6, 6), 1 / 6)
    found = carry_back(lambda key: even, blocks, layout, (0, 0))
    # (I + J / N)^3 = I + (2^3 - 1) J / N.
    expected = np.full((1, 2, 3), 7 / 6)
    expected[0, 0, 0] += 1
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["vit", "cait"])
def test_explain_finds_the_scores_and_gradients_by_itself(real, name):
    model = getattr(real, name)()
    found = explain(model, real.pixels, "relevance", target=[1, 3], batch_size=1)
    _, scores, gradients = attention_gradients(model, real.pixels, [1, 3])
    expected = relevance(scores, gradients, found.layout)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * expected.max())
    assert found.target == (1, 3)
    assert found.layers == tuple(scores)
    assert (found.values >= 0).all()
    later = explain(model, real.pixels, "relevance", target=[1, 3], start_layer=1)
    assert later.layers == tuple(scores)[1:]
    assert np.abs(later.values - found.values).max() > 1e-4


def test_options_that_cannot_be_are_refused(real):
    with pytest.raises(UsageError, match="from 0 to 1"):
        explain(real.vit(), real.pixels, "relevance", start_layer=2)
    with pytest.raises(UsageError, match="by its own rule"):
        explain(real.vit(), real.pixels, "relevance", heads="max")
    with pytest.raises(UsageError, match="no single block"):
        explain(real.vit(), real.pixels, "relevance", layer=1)
    with pytest.raises(UsageError, match="class token alone asks"):
        explain(real.cait(), real.pixels, "relevance", query=(0, 0))


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_times_attention_multiplies_by_the_attention_of_the_last_blocks(real, name):
    model = getattr(real, name)()
    plain = explain(model, real.pixels, "relevance", target=[1, 3])
    found = explain(model, real.pixels, "relevance", target=[1, 3], times_attention=True)
    blocks = explain_blocks(model, real.pixels, "all")
    # All of class attention, or the last three of a ViT.
    attention = np.mean([block.values.mean(axis=1) for block in blocks.values()][-3:], axis=0)
    assert_close(found.values, plain.values * attention)
    assert found.settings == {"start_layer": 0, "times_attention": True}


def test_the_attention_of_the_last_three_blocks_counts():
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    scores, _ = random_blocks(layout, depth=5)
    late = [scores[f"sa_ffn_block_{index:02d}_att"] for index in (2, 3, 4)]
    expected = np.mean([block[:, :, 0, 1:].mean(axis=1) for block in late], axis=0)
    assert_close(late_attention(scores, layout), expected.reshape(2, 3, 5).astype(np.float32))
    asked = np.mean([block[:, :, 8, 1:].mean(axis=1) for block in late], axis=0)
    assert_close(late_attention(scores, layout, (1, 2)), asked.reshape(2, 3, 5).astype(np.float32))
