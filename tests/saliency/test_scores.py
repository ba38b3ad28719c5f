import random

import pytest

from kerasvit.errors import UsageError
from kerasvit.saliency.scores import block_keys, block_number, select_block

KEYS = [f"sa_ffn_block_{i:02d}_att" for i in range(12)]


def test_the_order_is_that_of_the_numbers_whatever_the_dictionary_says():
    unpadded = [f"sa_ffn_block_{i}_att" for i in range(12)]
    for keys in (KEYS, unpadded):
        shuffled = keys.copy()
        random.Random(0).shuffle(shuffled)
        assert block_keys(dict.fromkeys(shuffled)) == keys
        assert block_keys(sorted(shuffled)) == keys


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(0, 0), (7, 7), (-1, 11), (-12, 0), ("first", 0), ("last", 11), (KEYS[3], 3)],
)
def test_a_block_is_found_by_number_position_or_key(layer, expected):
    assert select_block(dict.fromkeys(reversed(KEYS)), layer) == KEYS[expected]


def test_numbers_name_blocks_of_the_model_where_only_some_are_given():
    some = [KEYS[11], KEYS[5]]
    assert select_block(some, 5) == KEYS[5]
    assert select_block(some, "first") == KEYS[5]
    assert select_block(some, -1) == KEYS[11]
    with pytest.raises(UsageError):
        select_block(some, 0)


@pytest.mark.parametrize("layer", [12, -13, "middle", "3", 1.0, None, True, "sa_ffn_block_12_att"])
def test_an_unknown_block_is_refused_with_the_list_of_those_there_are(layer):
    with pytest.raises(UsageError) as caught:
        select_block(KEYS, layer)
    message = str(caught.value)
    assert repr(layer) in message
    assert all(key in message for key in KEYS)
    assert "\n" not in message


def test_an_empty_stage_says_why():
    with pytest.raises(UsageError, match="no attention scores of this stage"):
        select_block({}, "last")


def test_keys_that_cannot_be_ordered_are_refused():
    with pytest.raises(UsageError, match="the same block"):
        block_keys(["sa_ffn_block_00_att", "ca_ffn_block_00_att"])
    with pytest.raises(UsageError, match="number"):
        block_number("logits")
