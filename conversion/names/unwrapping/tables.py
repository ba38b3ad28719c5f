"""What training scripts keep beside a network's weights: tables of names, with what they mean.

Facts: moco-v3 `moco/builder.py`, mae `models_mae.py`, msn `src/deit.py` and `src/msn_train.py`,
ibot `models/head.py`, dino `utils.py`, dinov2 `train/ssl_meta_arch.py`, solo-learn
`methods/base.py`; torch `optim/swa_utils.py`, ema-pytorch `ema_pytorch.py`, thop `profile.py`.
"""

import re

from kerasvit.conversion.names.foreign.naming import Dropped

# Where a file holds several networks, which is taken unless another is asked for: the averaged
# weights, which timm and DeiT evaluate and publish; of DINO and DINOv2 the teacher; of I-JEPA the
# encoder, as timm does; of MoCo the base encoder. A word is what stands between underscores.
_AVERAGED, _TEACHER, _PLAIN, _OTHER = range(4)
_RANKS = (
    (r"ema|swa|avg|averaged?|shadow", _AVERAGED),
    (r"teacher", _TEACHER),
    (r"student|momentum|target|key|k|predictor", _OTHER),
)


def rank(part: str) -> int:
    """Return how soon a network is taken that is kept under a name: the smaller, the sooner."""
    words = re.split(r"_|(?<=[a-z])(?=[A-Z])", part)
    for pattern, value in _RANKS:
        if any(re.fullmatch(pattern, word.lower()) for word in words):
            return value
    return _PLAIN


def is_averaged(part: str) -> bool:
    """Tell whether a name says that the weights under it are averaged ones."""
    return rank(part) == _AVERAGED


def must_be_asked_for(part: str) -> bool:
    """Tell whether what is kept under a name is a network beside the one that counts."""
    return rank(part) == _OTHER


# Where no network is known by its names, as in the file of a linear head.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state")
PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.")

_COUNT = "a count of the averaging or of a profiler, no weight"
_LOSS = "of the loss, no part of the network"
_DECODER = "the decoder of the masked training, no part of the encoder"
_PRETRAINING = "of the self-supervised training, no part of the encoder"
_METRIC = "the state of a metric, no weight"

STRAYS = (
    *(
        Dropped(name, _COUNT)
        for name in (
            *("n_averaged", "*.n_averaged", "initted", "step", "num_updates", "decay"),
            *("total_ops", "total_params", "*.total_ops", "*.total_params"),
        )
    ),
    *(
        Dropped(name, _LOSS)
        for name in ("criterion*", "loss.*", "loss_f*", "*_loss.*", "dino_loss*", "*_loss_fn.*")
    ),
    Dropped("decoder_*", _DECODER),
    Dropped("decoder.*", _DECODER),
    Dropped("mask_token", _DECODER, needs="decoder_embed.weight"),
    *(
        Dropped(name, _PRETRAINING)
        for name in (
            *("masked_embed", "predictor.*", "projector.*", "projection_head.*", "prototypes*"),
            *("momentum_*", "queue", "queue_*", "*.queue", "*.queue_*"),
            *("fc.fc[0-9].*", "fc.bn[0-9].*"),
        )
    ),
    # MoCo v3 puts its projector in the place of the head.
    Dropped("head.[0-9]*", _PRETRAINING, needs="predictor.*"),
    *(
        Dropped(f"{stage}_{metric}*", _METRIC)
        for stage in ("train", "val", "valid", "test")
        for metric in ("acc", "metric", "f1", "auroc", "loss", "confusion")
    ),
)

PROJECTION_HEAD = "the projection head of DINO's training, no part of the backbone"
# Beside other names than a backbone's, `head.mlp` may be a classifier: not ours to drop.
BESIDE_A_BACKBONE = tuple(
    Dropped(f"{head}.{layers}*", PROJECTION_HEAD)
    for head in ("head", "dino_head", "ibot_head")
    for layers in ("mlp", "last_layer")
)

# What a classifier is called: these alone, or as the first part of a longer name (`head.fc`).
HEAD = re.compile(
    r"(head|heads|classifier|cls|cls_head|classification_head|mlp_head|fc|fc_out|fc_head|head_fc"
    r"|linear|linear_head|lin|out|output|output_layer|last_layer)(\.|$)"
)
# Layers between the class token and the head, which no model here has.
BEFORE_HEAD = re.compile(r"(pre_logits)\.")

# DINOv2 trains its blocks in chunks; the second number counts the blocks over all chunks
# (dinov2/models/vision_transformer.py `BlockChunk`).
CHUNK = re.compile(r"^blocks\.\d+\.(?=\d+\.)")
