"""Names of blocks and their scores: written in one way, read in many, ordered by depth."""

import itertools

import pytest

from kerasvit.errors import UsageError
from kerasvit.layout import STAGES, BlockKey


@pytest.mark.parametrize("depth", [0, 7, 47, 123])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["ffn", "pooling"])
def test_a_key_is_read_as_it_is_written(stage, depth, kind):
    key = BlockKey(stage, depth, kind)
    for name in (str(key), key.block, key.place("tokens"), key.place("output")):
        assert BlockKey.parse(name) == key
    assert str(BlockKey("sa", 7)) == "sa_ffn_block_07_att"
    assert BlockKey.parse("sa_ffn_block_7_att") == BlockKey("sa", 7)


def test_keys_are_ordered_by_depth_class_attention_last():
    keys = [BlockKey(stage, depth) for stage in ("sa", "ca") for depth in (0, 2, 10, 123)]
    for permuted in itertools.islice(itertools.permutations(keys), 0, None, 997):
        assert sorted(permuted) == keys


def test_the_models_name_their_blocks_so():
    from kerasvit.models import CaiT, VisionTransformer

    sizes = {"image_shape": (8, 16, 3), "patch_size": 8, "hidden_dim": 6, "num_layers": 2}
    sizes |= {"num_heads": 3, "mlp_dim": 8, "num_classes": 2}
    for model in (
        CaiT(**sizes),
        VisionTransformer(**sizes, pooling="attention", use_class_token=False),
    ):
        names = [block.name for block in model.all_blocks()]
        keys = [BlockKey.parse(name) for name in names]
        assert keys == sorted(keys)
        assert [key.block for key in keys] == names


@pytest.mark.parametrize(
    "name", ["", "logits", "sa_ffn_block_att", "xa_ffn_block_00_att", "sa_ffn_block_00_att\n"]
)
def test_what_is_no_key_is_refused_in_one_line(name):
    with pytest.raises(UsageError, match="number of its block") as caught:
        BlockKey.parse(name)
    assert "\n" not in str(caught.value)
