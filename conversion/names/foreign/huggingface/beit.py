"""Names of BEiT, and of data2vec's networks of pictures, in Hugging Face's `transformers`.

Facts: transformers/models/{beit,data2vec}/modeling_*.py and transformers/conversion_mapping.py,
release 5.24: files keep a block's table of biases below its attention, networks in memory beside.
"""

from kerasvit.conversion.names.foreign.huggingface.encoders import SPELLINGS
from kerasvit.conversion.names.foreign.naming import Dropped, Implied, Spelling, naming_of_tables
from kerasvit.conversion.names.foreign.shared_rules import same
from kerasvit.conversion.names.transforms import Rule, joined

_LAYER, _BLOCK = "layers.{i}", "blocks.{i}"
_TABLE = "relative_position_bias_table"

HUGGINGFACE = naming_of_tables(
    "huggingface_beit",
    marks=(
        r"((beit|data2vec_vision)\.)?embeddings\.patch_embeddings\.projection\.weight",
        r".*\.lambda_1",
    ),
    spellings=(
        Spelling(r"^(beit|data2vec_vision)\.", ""),
        Spelling(r"\battention\.attention\.relative_position_bias\.", "relative_position_bias."),
        *SPELLINGS,
    ),
    rules=(
        *same("embeddings.patch_embeddings.projection", "patch_embed.proj"),
        Rule("embeddings.cls_token", "cls_token"),
        Rule("embeddings.position_embeddings", "pos_embed"),
        *same(f"{_LAYER}.layernorm_before", f"{_BLOCK}.norm1"),
        *same(f"{_LAYER}.layernorm_after", f"{_BLOCK}.norm2"),
        Rule(
            tuple(f"{_LAYER}.attention.{part}.weight" for part in ("query", "key", "value")),
            f"{_BLOCK}.attn.qkv.weight",
            joined(3),
        ),
        Rule(f"{_LAYER}.attention.query.bias", f"{_BLOCK}.attn.q_bias"),
        Rule(f"{_LAYER}.attention.value.bias", f"{_BLOCK}.attn.v_bias"),
        Rule(f"{_LAYER}.relative_position_bias.{_TABLE}", f"{_BLOCK}.attn.{_TABLE}"),
        *same(f"{_LAYER}.attention.o_proj", f"{_BLOCK}.attn.proj"),
        Rule(f"{_LAYER}.lambda_1", f"{_BLOCK}.gamma_1"),
        Rule(f"{_LAYER}.lambda_2", f"{_BLOCK}.gamma_2"),
        *same(f"{_LAYER}.mlp.fc1", f"{_BLOCK}.mlp.fc1"),
        *same(f"{_LAYER}.mlp.fc2", f"{_BLOCK}.mlp.fc2"),
        *same("layernorm", "norm"),
        *same("pooler.layernorm", "fc_norm"),
        *same("classifier", "head"),
    ),
    dropped=(
        Dropped("embeddings.mask_token", "the mask token of the training, never used at inference"),
        Dropped("*.relative_position_index", "places in the table of biases, which are computed"),
    ),
    implied=(
        Implied({"pooling": "average"}, needs="pooler.layernorm.weight"),
        Implied({"pooling": "class"}, lacks="pooler.layernorm.weight"),
    ),
)
