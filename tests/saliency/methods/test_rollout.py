import random

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.layout import TokenLayout
from kerasvit.saliency.methods.rollout import (
    class_attention_rollout,
    class_stage_row,
    roll_back,
    rollout,
    rollout_matrix,
)
from kerasvit.saliency.methods.transitions import RolloutRule

GRID = (3, 5)


def key(block, stage="sa"):
    return f"{stage}_ffn_block_{block:02d}_att"


def layout_of(fakes, prefix=1, grid=GRID):
    return TokenLayout(fakes.PREFIXES[prefix], grid, (16, 16))


def random_scores(fakes, layout, layers=3, batch=2, heads=4, rows=None, stage="sa", seed=0):
    """Softmax rows; `rows` of them, or one for each token."""
    rng = np.random.default_rng(seed)
    shape = (batch, heads, rows or layout.num_tokens, layout.num_tokens)
    return {key(i, stage): fakes.softmax(rng.normal(size=shape) * 2) for i in range(layers)}


def repeated(matrix, layers):
    return {key(i): matrix[None, None].astype(np.float64) for i in range(layers)}


@pytest.mark.parametrize("layers", [1, 2, 12])
def test_uniform_attention_has_its_closed_form(fakes, layers):
    layout = layout_of(fakes)
    n = layout.num_tokens
    found = rollout_matrix(repeated(np.full((n, n), 1 / n), layers), layout)[0]
    expected = 2.0**-layers * np.eye(n) + (1 - 2.0**-layers) / n
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_the_identity_stays_and_a_permutation_spreads_by_halves(fakes):
    layout = layout_of(fakes)
    n = layout.num_tokens
    np.testing.assert_array_equal(rollout_matrix(repeated(np.eye(n), 5), layout)[0], np.eye(n))
    permutation = np.eye(n)[np.random.default_rng(0).permutation(n)]
    expected = np.linalg.matrix_power((np.eye(n) + permutation) / 2, 4)
    found = rollout_matrix(repeated(permutation, 4), layout)[0]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_one_block_is_half_residual_half_attention(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout, layers=1)
    expected = (np.eye(16) + scores[key(0)].mean(axis=1)) / 2
    np.testing.assert_allclose(rollout_matrix(scores, layout), expected, atol=1e-6)


@pytest.mark.parametrize("fusion", ["mean", "max", "min", 2, [0, 3]])
@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_rollout_is_the_product_of_the_blocks_last_block_on_the_left(fakes, fusion, prefix):
    layout = layout_of(fakes, prefix)
    scores = random_scores(fakes, layout)
    product = np.eye(layout.num_tokens)
    for block in range(3):
        heads = scores[key(block)].astype(np.float64)
        fused = {
            "mean": lambda heads: heads.mean(axis=1),
            "max": lambda heads: heads.max(axis=1),
            "min": lambda heads: heads.min(axis=1),
            "2": lambda heads: heads[:, 2],
            "[0, 3]": lambda heads: heads[:, [0, 3]].mean(axis=1),
        }[str(fusion)](heads)
        matrix = fused + np.eye(layout.num_tokens)
        product = matrix / matrix.sum(axis=-1, keepdims=True) @ product
    found = rollout_matrix(scores, layout, RolloutRule(fusion))
    np.testing.assert_allclose(found, product, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    queries = {0: [(1, 2), "mean"], 2: ["class", "distillation", "mean", (1, 2)]}
    for query in queries.get(prefix, ["class", "mean", (1, 2)]):
        rows = {
            "class": [0],
            "distillation": [1],
            "mean": range(layout.num_tokens) if prefix == 0 else range(2 if prefix == 2 else 1),
            (1, 2): [prefix + 7],
        }[query]
        expected = product[:, rows, prefix:].mean(axis=1).reshape(2, *GRID)
        found = rollout(scores, layout, query, fusion=fusion)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_order_comes_from_the_keys_and_not_from_the_dictionary(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout, layers=12, batch=1)
    unpadded = {f"sa_ffn_block_{i}_att": scores[key(i)] for i in range(12)}
    shuffled = list(unpadded.items())
    random.Random(1).shuffle(shuffled)
    expected = rollout(scores, layout)
    for other in (dict(shuffled), dict(sorted(shuffled))):
        np.testing.assert_array_equal(rollout(other, layout), expected)
    # The order does matter, so this test could fail.
    backwards = {key(11 - i): scores[key(i)] for i in range(12)}
    assert np.abs(rollout(backwards, layout) - expected).max() > 1e-3


def test_a_batch_is_its_images_one_by_one(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout, batch=3)
    together = rollout(scores, layout, discard=0.5)
    for image in range(3):
        alone = {name: value[image : image + 1] for name, value in scores.items()}
        np.testing.assert_allclose(together[image], rollout(alone, layout, discard=0.5)[0])


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_discard_zeroes_the_smallest_patch_entries_and_keeps_the_prefix(fakes, prefix):
    layout = layout_of(fakes, prefix)
    n = layout.num_tokens
    scores = random_scores(fakes, layout, layers=1, heads=1)
    before = {name: value.copy() for name, value in scores.items()}
    found = rollout_matrix(scores, layout, RolloutRule(discard=0.9))
    off_diagonal = ~np.eye(n, dtype=bool)
    off_diagonal[:, :prefix] = False
    for image in range(2):
        patches = scores[key(0)][image, 0][:, prefix:]
        threshold = np.sort(patches, axis=None)[int(0.9 * patches.size + 1e-9)]
        expected = scores[key(0)][image, 0].astype(np.float64)
        expected[:, prefix:][patches < threshold] = 0
        expected += np.eye(n)
        expected /= expected.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found[image], expected, atol=1e-6)
        assert (found[image][off_diagonal] == 0).mean() > 0.8
    # The caller's scores are not written to.
    np.testing.assert_array_equal(before[key(0)], scores[key(0)])


def test_start_layer_leaves_the_first_blocks_out(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout)
    later = {name: value for name, value in scores.items() if name != key(0)}
    expected = rollout(scores, layout, start_layer=1)
    np.testing.assert_array_equal(rollout(later, layout, start_layer=1), expected)
    assert np.abs(expected - rollout(scores, layout)).max() > 1e-4


@pytest.mark.parametrize("grid", [(3, 5), (5, 3)])
def test_a_hot_patch_at_row_1_column_2_shows_there(fakes, grid):
    layout = layout_of(fakes, 1, grid)
    hot = np.zeros((16, 16))
    hot[:, 1 + 1 * grid[1] + 2] = 1
    found = rollout(repeated(hot, 3), layout)[0]
    assert found.shape == grid
    assert found[1, 2] == pytest.approx(1 - 2.0**-3)
    assert (np.delete(found.ravel(), grid[1] + 2) == 0).all()


def test_two_class_attention_blocks_have_their_closed_form(fakes):
    ca_layout = layout_of(fakes, 1)
    ca = random_scores(fakes, ca_layout, layers=2, rows=1, stage="ca")
    first, second = (ca[key(i, "ca")].mean(axis=1)[:, 0].astype(np.float64) for i in (0, 1))
    patches = (1 + second[:, :1]) * first[:, 1:] / 4 + second[:, 1:] / 2
    row = class_stage_row(ca)
    np.testing.assert_allclose(row[:, 1:], patches, atol=1e-7)
    np.testing.assert_allclose(row.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(row[:, 0], (1 + first[:, 0]) * (1 + second[:, 0]) / 4, atol=1e-7)

    layout = layout_of(fakes, 0)
    sa = random_scores(fakes, layout)
    found = class_attention_rollout(sa, ca, layout)
    expected = np.einsum("bp,bpq->bq", patches, rollout_matrix(sa, layout).astype(np.float64))
    np.testing.assert_allclose(found, expected.reshape(2, *GRID), atol=1e-6)


@pytest.mark.parametrize("fusion", ["mean", "max", "min", 1])
def test_the_class_stage_equals_the_rollout_of_its_square_matrices(fakes, fusion):
    layout = layout_of(fakes, 1)
    ca = random_scores(fakes, layout, layers=3, rows=1, stage="ca")
    squares = {}
    for block in range(3):
        # Patch rows are the identity in every head.
        square = np.tile(np.eye(16), (2, 4, 1, 1))
        square[:, :, 0] = ca[key(block, "ca")][:, :, 0]
        squares[key(block)] = square
    expected = rollout_matrix(squares, layout, RolloutRule(fusion))[:, 0]
    np.testing.assert_allclose(class_stage_row(ca, fusion), expected, atol=1e-6)


@pytest.mark.parametrize("signed", ["reject", "absolute", "positive"])
def test_class_attention_rollout_keeps_all_mass_but_that_of_the_class_token(fakes, signed):
    layout = layout_of(fakes, 0)
    ca = random_scores(fakes, layout_of(fakes, 1), layers=2, rows=1, stage="ca")
    sa = random_scores(fakes, layout)
    if signed != "reject":
        sa = {name: value - 0.1 for name, value in sa.items()}
        # A row without a positive value must not turn into NaN.
        sa[key(1)][0, 0, 3] = -1
    found = class_attention_rollout(sa, ca, layout, signed=signed, discard=0.5)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1 - class_stage_row(ca)[:, 0], atol=1e-6)


def test_signed_rows_become_probabilities_by_the_rule_that_was_asked_for(fakes):
    layout = layout_of(fakes, 0, (1, 3))
    scores = {key(0): np.array([[[[0.6, -0.2, 0.2], [-1, -2, -1], [0, 0, 0]]]])}
    parts = {
        "absolute": [[0.6, 0.2, 0.2], [0.25, 0.5, 0.25], [1 / 3] * 3],
        "positive": [[0.75, 0, 0.25], [1 / 3] * 3, [1 / 3] * 3],
    }
    for signed, expected in parts.items():
        found = rollout_matrix(scores, layout, RolloutRule(signed=signed))[0]
        np.testing.assert_allclose(found, (np.eye(3) + expected) / 2, atol=1e-6)


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_rows_that_are_no_probabilities_are_refused(fakes, shift):
    layout = layout_of(fakes, 0)
    sa = {name: value + shift for name, value in random_scores(fakes, layout).items()}
    with pytest.raises(InputError, match="scores_before_mixing=True") as caught:
        rollout(sa, layout, "mean")
    assert "\n" not in str(caught.value)
    ca = random_scores(fakes, layout_of(fakes, 1), layers=2, rows=1, stage="ca")
    ca = {name: value + shift for name, value in ca.items()}
    with pytest.raises(InputError, match="probabilities"):
        class_attention_rollout(random_scores(fakes, layout), ca, layout, signed="absolute")


def test_half_precision_rows_count_as_probabilities(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout)
    half = {name: value.astype(np.float16) for name, value in scores.items()}
    np.testing.assert_allclose(rollout(half, layout), rollout(scores, layout), atol=1e-3)


def test_scores_that_cannot_be_rolled_out_are_refused(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout)
    gap = {name: value for name, value in scores.items() if name != key(1)}
    with pytest.raises(InputError, match=r"no scores of the blocks \[1\]"):
        rollout(gap, layout)
    last = {key(2): scores[key(2)]}
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        rollout(last, layout)
    rows = {name: value[:, :, :1] for name, value in scores.items()}
    with pytest.raises(InputError, match="every row"):
        rollout(rows, layout)
    with pytest.raises(InputError, match="does not fit the layout"):
        rollout(scores, layout_of(fakes, 2))
    scores[key(1)][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        rollout(scores, layout)


def test_arguments_out_of_range_are_refused(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout)
    for arguments in (
        {"discard": 1.0},
        {"discard": -0.1},
        {"signed": "yes"},
        {"start_layer": 3},
        {"start_layer": -1},
        {"fusion": "all"},
        {"fusion": 4},
        {"query": "distillation"},
    ):
        with pytest.raises(UsageError, match="Received"):
            rollout(scores, layout, **arguments)
    with pytest.raises(UsageError, match="as CaiT and XCiT"):
        class_attention_rollout(scores, {}, layout)
    with pytest.raises(UsageError, match="attention='full'"):
        rollout({}, layout)


def test_rows_of_the_whole_matrix_can_be_carried_one_by_one(fakes):
    layout = layout_of(fakes)
    scores = random_scores(fakes, layout)
    whole = rollout_matrix(scores, layout)
    start = np.eye(16)[None, 4:6]
    found = roll_back(start, scores, layout)
    np.testing.assert_allclose(found, whole[:, 4:6], atol=1e-6)
