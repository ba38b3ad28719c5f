import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.maps import attention_maps, fuse_heads, query_tokens


def scores_of(layout, batch=2, heads=3, seed=0):
    shape = (batch, heads, layout.num_tokens, layout.num_tokens)
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize("prefix_count", [1, 2, 5])
@pytest.mark.parametrize("grid", [(3, 5), (5, 3), (1, 4), (4, 4)])
def test_every_patch_lands_at_its_row_and_column(fakes, prefix_count, grid):
    layout = TokenLayout(fakes.PREFIXES[prefix_count], grid, (16, 16))
    scores = scores_of(layout)
    maps = attention_maps(scores, layout)
    assert maps.shape == (2, 3, *grid)
    for row in range(grid[0]):
        for column in range(grid[1]):
            token = prefix_count + row * grid[1] + column
            np.testing.assert_array_equal(maps[..., row, column], scores[:, :, 0, token])


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
def test_a_hot_patch_at_row_1_column_2_shows_there(grid):
    layout = TokenLayout(("class",), grid, (16, 16))
    scores = np.zeros((1, 1, 1, layout.num_tokens))
    scores[..., 1 + 1 * grid[1] + 2] = 1
    expected = np.zeros(grid)
    expected[1, 2] = 1
    np.testing.assert_array_equal(attention_maps(scores, layout)[0, 0], expected)


@pytest.mark.parametrize("prefix_count", [1, 2, 5])
@pytest.mark.parametrize("query", ["class", "distillation", "mean"])
def test_class_rows_alone_give_the_same_maps_as_all_rows(fakes, prefix_count, query):
    layout = TokenLayout(fakes.PREFIXES[prefix_count], (3, 5), (16, 16))
    scores = scores_of(layout)
    if query == "distillation" and prefix_count != 2:
        with pytest.raises(UsageError, match="'class', 'mean'"):
            attention_maps(scores, layout, query)
        return
    rows = scores[:, :, : 2 if prefix_count == 2 else 1]
    np.testing.assert_array_equal(
        attention_maps(rows, layout, query), attention_maps(scores, layout, query)
    )


def test_each_query_reads_its_own_row(fakes):
    layout = TokenLayout(fakes.PREFIXES[2], (3, 5), (16, 16))
    scores = scores_of(layout)
    patches = scores[..., 2:].reshape(2, 3, 17, 3, 5)
    expected = {
        "class": patches[:, :, 0],
        "distillation": patches[:, :, 1],
        "mean": patches[:, :, :2].mean(axis=2),
        (1, 2): patches[:, :, 2 + 1 * 5 + 2],
        (2, 4): patches[:, :, -1],
    }
    for query, rows in expected.items():
        np.testing.assert_allclose(attention_maps(scores, layout, query), rows, rtol=1e-6)


def test_without_a_class_token_the_mean_is_over_the_patches(fakes):
    layout = TokenLayout(fakes.PREFIXES[0], (3, 5), (16, 16))
    scores = scores_of(layout)
    expected = scores.mean(axis=2).reshape(2, 3, 3, 5)
    np.testing.assert_allclose(attention_maps(scores, layout, "mean"), expected, rtol=1e-6)
    with pytest.raises(UsageError, match=r"Choose 'mean', 'patches' or a patch \(row, column\)"):
        attention_maps(scores, layout, "class")


@pytest.mark.parametrize(
    "query", [(3, 0), (0, 5), (-1, 0), (0,), (0, 0, 0), (0.5, 0), "register_0", "cls", 3, None]
)
def test_an_unknown_query_is_refused(fakes, query):
    layout = TokenLayout(fakes.PREFIXES[5], (3, 5), (16, 16))
    with pytest.raises(UsageError, match="no such query") as caught:
        query_tokens(layout, query)
    assert repr(query) in str(caught.value)


def test_a_patch_query_needs_all_rows(fakes):
    layout = TokenLayout(fakes.PREFIXES[1], (3, 5), (16, 16))
    with pytest.raises(UsageError, match="attention='full'"):
        attention_maps(scores_of(layout)[:, :, :1], layout, (1, 2))


def test_scores_that_do_not_fit_the_layout_are_refused(fakes):
    layout = TokenLayout(fakes.PREFIXES[1], (3, 5), (16, 16))
    scores = scores_of(layout)
    with pytest.raises(InputError, match="does not fit the layout"):
        attention_maps(scores[..., 1:], layout)
    with pytest.raises(InputError, match="four axes"):
        attention_maps(scores[0], layout)
    with pytest.raises(InputError, match="Received: 2 rows"):
        attention_maps(scores[:, :, :2], layout)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(fakes, bad):
    layout = TokenLayout(fakes.PREFIXES[1], (3, 5), (16, 16))
    scores = scores_of(layout)
    scores[1, 2, 0, 7] = bad
    with pytest.raises(InputError, match="finite"):
        attention_maps(scores, layout)


def test_half_precision_scores_give_float32_maps(fakes):
    layout = TokenLayout(fakes.PREFIXES[1], (3, 5), (16, 16))
    assert attention_maps(scores_of(layout).astype(np.float16), layout).dtype == np.float32


def test_each_rule_for_heads_is_what_its_name_says():
    maps = np.random.default_rng(0).uniform(size=(2, 4, 3, 5)).astype(np.float32)
    np.testing.assert_array_equal(fuse_heads(maps), maps.mean(axis=1))
    np.testing.assert_array_equal(fuse_heads(maps, "max"), maps.max(axis=1))
    np.testing.assert_array_equal(fuse_heads(maps, "min"), maps.min(axis=1))
    np.testing.assert_array_equal(fuse_heads(maps, 3), maps[:, 3])
    np.testing.assert_array_equal(fuse_heads(maps, -1), maps[:, 3])
    np.testing.assert_array_equal(fuse_heads(maps, [2]), maps[:, 2])
    np.testing.assert_allclose(fuse_heads(maps, [0, 2]), (maps[:, 0] + maps[:, 2]) / 2, rtol=1e-6)
    assert fuse_heads(maps, "all") is maps
    assert fuse_heads(maps, None) is maps


@pytest.mark.parametrize("heads", [4, -5, "median", [], [0, 4], ["mean"], 1.0, True])
def test_an_unknown_head_is_refused(heads):
    with pytest.raises(UsageError, match="from 0 to 3"):
        fuse_heads(np.zeros((2, 4, 3, 5)), heads)
