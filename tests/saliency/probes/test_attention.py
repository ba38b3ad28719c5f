import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.probes.attention import attention_distance, attention_entropy
from kerasvit.saliency.probes.features import (
    block_outputs,
    linear_cka,
    patch_filters,
    pca_to_rgb,
    position_similarity,
    token_norms,
)

RNG = np.random.default_rng(5)


def even(tokens):
    return np.full((1, 2, tokens, tokens), 1 / tokens)


def test_even_attention_of_14_by_14_patches_looks_116_pixels_far():
    layout = TokenLayout(("class",), (14, 14), (16, 16))
    np.testing.assert_allclose(attention_distance(even(197), layout), 116.492, atol=1e-3)


@pytest.mark.parametrize("prefix", [(), ("class",), ("class", "distillation")])
def test_distances_count_rows_and_columns_of_any_grid(prefix):
    layout = TokenLayout(prefix, (3, 5), (4, 10))
    count, start = layout.num_tokens, layout.num_prefix
    assert not attention_distance(np.eye(count)[None, None], layout).any()
    # Every patch looks at the one below it, and those of the last row at themselves.
    below = np.zeros((1, 1, count, count))
    for patch in range(15):
        below[..., start + patch, start + (patch + 5 if patch < 10 else patch)] = 1
    for index in range(start):
        below[..., index, index] = 1
    np.testing.assert_allclose(attention_distance(below, layout), 4 * 10 / 15)
    # Mass on the prefix has no distance.
    if prefix:
        mixed = 0.5 * below
        mixed[..., 0] += 0.5
        np.testing.assert_allclose(attention_distance(mixed, layout), 4 * 10 / 15)


def test_entropy_is_0_for_one_token_and_the_logarithm_for_all():
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    np.testing.assert_allclose(attention_entropy(even(16), layout), 4)
    assert not attention_entropy(np.eye(16)[None, None], layout).any()
    class_attention = even(16)[:, :, :1]
    np.testing.assert_allclose(attention_entropy(class_attention, layout), 4)


def test_measures_of_probabilities_refuse_what_is_none():
    layout = TokenLayout((), (3, 5), (4, 4))
    for measure in (attention_distance, attention_entropy):
        with pytest.raises(InputError, match="scores_before_mixing"):
            measure(even(15) - 0.1, layout)
        with pytest.raises(InputError, match="fit the layout"):
            measure(even(16), layout)
    with pytest.raises(InputError, match="attention='full'"):
        attention_distance(even(15)[:, :, :1], layout)


@pytest.mark.backend
def test_a_model_s_scores_can_be_measured(real):
    _, scores, _ = real.vit()(real.pixels)
    layout = real.vit().token_layout()
    for value in scores.values():
        distance = attention_distance(to_numpy(value), layout)
        assert distance.shape == (2, 3)
        assert ((distance > 0) & (distance < 20)).all()
        assert (attention_entropy(to_numpy(value), layout) <= 4).all()


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_block_outputs_are_what_the_head_reads(real, name):
    model = getattr(real, name)()
    stage = "ca" if name == "cait" else "sa"
    found = block_outputs(model, real.pixels, ["last", 0], stage, batch_size=1)
    assert list(found) == [f"{stage}_ffn_block_0{i}" for i in (0, 1)]
    last = found[f"{stage}_ffn_block_01"]
    logits = to_numpy(model(real.pixels)[0])
    np.testing.assert_allclose(to_numpy(model.read_out(last)), logits, atol=1e-5)


def test_norms_lie_where_their_patches_do():
    layout = TokenLayout(("class", "register_0"), (3, 5), (4, 4))
    tokens = np.zeros((2, 17, 6))
    tokens[1, 2 + 7] = 3, 0, 4, 0, 0, 0
    tokens[:, :2] = 100
    norms = token_norms(tokens, layout)
    assert norms[1, 1, 2] == 5
    assert norms.sum() == 5


def test_colours_are_principal_components_of_all_pictures_together():
    layout = TokenLayout(("class",), (3, 5), (4, 4))
    tokens = RNG.normal(size=(2, 16, 8)) * np.array([9, 5, 3, 0.1, 0.1, 0.1, 0.1, 0.1])
    colours = pca_to_rgb(tokens, layout, (0, 100))
    assert colours.shape == (2, 3, 5, 3)
    assert (colours.min(axis=(0, 1, 2)) == 0).all()
    assert np.allclose(colours.max(axis=(0, 1, 2)), 1)
    for component in range(3):
        flat, own = colours[..., component].ravel(), tokens[:, 1:, component].ravel()
        assert np.corrcoef(flat, own)[0, 1] > 0.9
    # Neither a turn of the axes nor the class token matters.
    turn, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    turned = tokens @ turn
    turned[:, 0] = 77
    again = pca_to_rgb(turned, layout, (0, 100))
    for component in range(3):
        pair = colours[..., component].ravel(), again[..., component].ravel()
        assert abs(np.corrcoef(*pair)[0, 1]) > 0.999
    clipped = pca_to_rgb(tokens, layout)
    assert clipped.min() >= 0
    assert clipped.max() <= 1
    assert not pca_to_rgb(np.ones((1, 16, 8)), layout).any()
    with pytest.raises(InputError, match="at least 3"):
        pca_to_rgb(np.ones((1, 16, 2)), layout)


def test_positions_are_compared_with_each_other(real):
    found = position_similarity(real.vit())
    assert found.shape == (3, 5, 3, 5)
    flat = found.reshape(15, 15)
    np.testing.assert_allclose(np.diag(flat), 1)
    np.testing.assert_allclose(flat, flat.T)
    embedding = to_numpy(real.vit().position.embedding.value)[0, 1:]
    one, other = embedding[1 * 5 + 2], embedding[2 * 5 + 4]
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found[1, 2, 2, 4] == pytest.approx(expected, rel=1e-5)


def test_filters_span_what_the_patch_embedding_sees(real):
    found = patch_filters(real.vit(), 11)
    assert found.shape == (11, 4, 4, 3)
    flat = found.reshape(11, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(11), atol=1e-6)
    kernel = to_numpy(real.vit().patch_embedding.projection.kernel.value).reshape(48, 12)
    variance = ((kernel.T - kernel.mean(axis=1)) @ flat.T).var(axis=0)
    assert (np.diff(variance) <= 1e-9).all()
    with pytest.raises(InputError, match="at least 13"):
        patch_filters(real.vit(), 13)
    with pytest.raises(UsageError, match="at least one"):
        patch_filters(real.vit(), 0)


@pytest.mark.parametrize(("rows", "width"), [(10, 30), (200, 5)])
def test_cka_ignores_rotation_and_scale_and_tells_features_apart(rows, width):
    first = RNG.normal(size=(rows, width))
    turn, _ = np.linalg.qr(RNG.normal(size=(width, width)))
    assert linear_cka(first, 3 * first @ turn + 5) == pytest.approx(1)
    second = RNG.normal(size=(rows, 4))
    centred, other = first - first.mean(axis=0), second - second.mean(axis=0)
    gram, other_gram = centred @ centred.T, other @ other.T
    norms = np.linalg.norm(gram) * np.linalg.norm(other_gram)
    expected = (gram * other_gram).sum() / norms
    assert linear_cka(first, second) == pytest.approx(expected)
    assert linear_cka(second, first) == pytest.approx(expected)
    assert linear_cka(first, np.ones((rows, 3))) == 0
    with pytest.raises(InputError, match="same inputs"):
        linear_cka(first, second[:-1])
