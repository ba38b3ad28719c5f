"""How people keep a ViT's weights: each wrapping gives the network and its head, and no more."""

import numpy as np
import pytest

from kerasvit.conversion.architecture.detected import detect
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.rules import assign
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError, UsageError
from kerasvit.models.vit.model import VisionTransformer

WIDTH, MLP, CLASSES, PATCH, GRID = 8, 12, 3, 2, 2
MODEL = {
    "image_shape": (PATCH * GRID, PATCH * GRID, 3),
    "patch_size": PATCH,
    "hidden_dim": WIDTH,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": MLP,
}


def _linear(name, columns, rows):
    return {f"{name}.weight": (columns, rows), f"{name}.bias": (columns,)}


def _norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _block(name):
    return {
        **_norm(f"{name}.norm1"),
        **_linear(f"{name}.attn.qkv", 3 * WIDTH, WIDTH),
        **_linear(f"{name}.attn.proj", WIDTH, WIDTH),
        **_norm(f"{name}.norm2"),
        **_linear(f"{name}.mlp.fc1", MLP, WIDTH),
        **_linear(f"{name}.mlp.fc2", WIDTH, MLP),
    }


def _shapes():
    return {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + GRID * GRID, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        **_block("blocks.0"),
        **_block("blocks.1"),
        **_norm("norm"),
    }


def random(shapes, seed=0):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=size).astype("float32") for name, size in shapes.items()}


def trunk(seed=0):
    return random(_shapes(), seed)


HEAD = random(_linear("head", CLASSES, WIDTH), 1)


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def head(name, tensors=HEAD):
    return {name + key.removeprefix("head"): tensor for key, tensor in tensors.items()}


def flat(prefix="", head_name="head", **stray):
    return {
        **under(prefix, trunk()),
        **head(head_name),
        **{name: np.ones(shape, "float32") for name, shape in stray.items()},
    }


def training(state, **more):
    """Return what a training script saves beside the weights."""
    return {
        "epoch": 3,
        "optimizer": {"state": {0: {"exp_avg": np.ones(3)}}},
        "best": 0.9,
        **more,
        **state,
    }


def mlp_head(name):
    return random(
        {**_linear(f"{name}.0", 5, WIDTH), f"{name}.1.weight": (5,), **_linear(f"{name}.3", 4, 5)}
    )


PLAIN = {**trunk(), **HEAD}

# What people have, from the survey `checkpoints.md` section 3, and ten more that combine them.
WITH_HEAD = {
    "model_state_dict of PyTorch's tutorials": training({"model_state_dict": PLAIN}),
    "net": training({"net": PLAIN}),
    "module of DeepSpeed": training({"module": PLAIN, "buffer_names": [], "dp_world_size": 4}),
    "backbone + classifier": flat("backbone.", "classifier"),
    "encoder + fc": flat("encoder.", "fc"),
    "vit + head": flat("vit.", "head"),
    "model.model of Lightning around timm": {"state_dict": under("model.model.", PLAIN)},
    "compiled": under("_orig_mod.", PLAIN),
    "head.1 after a dropout": flat("", "head.1"),
    "head.fc": flat("", "head.fc"),
    "classifier of a subclass": flat("", "classifier"),
    "fc of a subclass": flat("", "fc"),
    "criterion with class weights": {
        "state_dict": {**under("model.", PLAIN), "criterion.weight": np.ones(CLASSES)}
    },
    "AveragedModel of torch": {**under("module.", PLAIN), "n_averaged": np.array(7)},
    "ema-pytorch": {
        **under("online_model.", {**trunk(5), **HEAD}),
        **under("ema_model.", PLAIN),
        "initted": np.array(True),
        "step": np.array(9),
    },
    "counts of thop on every layer": {
        **PLAIN,
        **{
            f"{place}total_{what}": np.zeros(1)
            for place in ("", "blocks.0.attn.")
            for what in ("ops", "params")
        },
    },
    "solo-learn": {
        "state_dict": {
            **under("backbone.", trunk()),
            **head("classifier"),
            **under("momentum_backbone.", trunk(2)),
            "projector.0.weight": np.ones((4, WIDTH)),
            "momentum_projector.0.weight": np.ones((4, WIDTH)),
            "predictor.0.weight": np.ones((4, 4)),
            "queue": np.ones((4, 4)),
        }
    },
    # Nobody gave these.
    "a lightning module in DDP, compiled": {
        "state_dict": {
            **under("_forward_module.module._orig_mod.net.", PLAIN),
            "val_acc.correct": np.ones(2),
            "loss_fn.weight": np.ones(CLASSES),
        }
    },
    "backbone and head as two mappings": training(
        {
            "backbone": trunk(),
            "head": {"weight": HEAD["head.weight"], "bias": HEAD["head.bias"]},
        }
    ),
    "wrapped three times": {"checkpoint": {"model": {"state_dict": under("my_net.", PLAIN)}}},
    "averaged beside plain, below module": training(
        {
            "ema_state_dict": under("module.", PLAIN),
            "state_dict": under("module.", {**trunk(4), **HEAD}),
        }
    ),
    "a feature extractor with a sequential classifier": training(
        {"model_state": flat("feature_extractor.model.", "classifier.1")}
    ),
    "a linear head of its own without a wrapper": flat("image_encoder.trunk.", "linear_head"),
    "network + out, counted by thop": {
        "network": {**flat("", "out"), "blocks.1.total_ops": np.zeros(1)}
    },
    "shadow weights": {
        "shadow": PLAIN,
        "num_updates": 4,
        "decay": 0.99,
        "model": {**trunk(3), **HEAD},
    },
    "swa_model": {
        "swa_model": {**under("module.", PLAIN), "n_averaged": np.array(1)},
        "model": trunk(6),
    },
    "distributed trainer": {
        "state": {"model": under("module.base.", PLAIN), "optim": {"step": np.ones(1)}}
    },
}
BACKBONE_ALONE = {
    "MAE": {
        "model": {
            **trunk(),
            "mask_token": np.ones((1, 1, 4)),
            "decoder_pos_embed": np.ones((1, 5, 4)),
            "decoder_embed.weight": np.ones((4, WIDTH)),
            "decoder_blocks.0.norm1.weight": np.ones(4),
            "decoder_norm.bias": np.ones(4),
            "decoder_pred.weight": np.ones((12, 4)),
        }
    },
    "MoCo v3": training(
        {
            "state_dict": {
                **under("module.base_encoder.", {**trunk(), **mlp_head("head")}),
                **under("module.momentum_encoder.", {**trunk(1), **mlp_head("head")}),
                **under("module.predictor.", mlp_head("0")),
            }
        },
        arch="vit_small",
    ),
    "MSN": {
        "encoder": under(
            "module.", {**trunk(), "fc.fc1.weight": np.ones((4, WIDTH)), "fc.bn1.bias": np.ones(4)}
        ),
        "target_encoder": under("module.", trunk(1)),
        "prototypes": np.ones((4, 4)),
    },
    "iBOT": {
        "teacher": {
            **under("backbone.", trunk()),
            "head.mlp.0.weight": np.ones((4, WIDTH)),
            "head.last_layer.weight_g": np.ones((4, 1)),
            "head.last_layer2.weight_v": np.ones((4, 4)),
        },
        "student": {
            **under("module.backbone.", {**trunk(1), "masked_embed": np.ones((1, WIDTH))}),
            "module.head.mlp.0.weight": np.ones((4, WIDTH)),
        },
    },
    "iBOT's student with its masked embedding": {
        "student_net": {
            **under("teacher_style.backbone.", {**trunk(), "masked_embed": np.ones((1, WIDTH))})
        },
        "other": 3,
    },
    "teacher and student under other names": {
        "model_teacher": under("module.backbone.", trunk()),
        "model_student": under("module.backbone.", trunk(1)),
    },
    "I-JEPA": {
        "encoder": under("module.", trunk()),
        "predictor": {"module.predictor_embed.weight": np.ones((4, WIDTH))},
        "target_encoder": under("module.", trunk(1)),
        "opt": {"state": {0: np.ones(3)}},
    },
}


def opened(source):
    return in_timm_names(unwrap(source))


def assert_is(checkpoint, expected):
    assert sorted(checkpoint.names) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(checkpoint[name], array)


@pytest.mark.parametrize("source", WITH_HEAD.values(), ids=WITH_HEAD)
def test_a_wrapping_gives_the_network_and_its_head(source):
    assert_is(opened(source), PLAIN)


@pytest.mark.parametrize("source", BACKBONE_ALONE.values(), ids=BACKBONE_ALONE)
def test_a_self_supervised_training_gives_its_encoder(source):
    select = "student_net" if "student_net" in source else None
    checkpoint = in_timm_names(unwrap(source, select))
    assert_is(checkpoint, trunk())


@pytest.mark.parametrize("source", [*WITH_HEAD.values(), *BACKBONE_ALONE.values()])
def test_every_tensor_that_is_left_out_has_a_reason_or_lies_elsewhere(source):
    """Nothing of the network's own mapping is lost without a word."""
    select = "student_net" if "student_net" in source else None
    checkpoint = in_timm_names(unwrap(source, select))
    assert all(checkpoint.dropped.values())
    model = VisionTransformer(**MODEL, num_classes=CLASSES if "head.weight" in checkpoint else 0)
    assign(model, checkpoint, detect(checkpoint).layout)


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        ({"neck.weight": np.ones((2, 2))}, "neck.weight"),
        ({"aux.head.weight": np.ones((2, WIDTH))}, "aux.head.weight"),
        ({"pre_logits.fc.weight": np.ones((WIDTH, WIDTH))}, "head.pre_logits.fc.weight"),
        ({"classifier.weight": np.ones((2, WIDTH))}, "classifier.weight"),
    ],
)
def test_what_may_count_is_never_dropped(stray, words):
    checkpoint = opened({**PLAIN, **stray})
    model = VisionTransformer(**MODEL, num_classes=CLASSES)
    with pytest.raises(InputError, match=words):
        assign(model, checkpoint, detect(checkpoint).layout)


def test_a_head_of_two_layers_is_refused_and_left_out_where_none_is_wanted():
    checkpoint = opened({**under("backbone.", trunk()), **mlp_head("classifier")})
    layout = detect(checkpoint).layout
    model = VisionTransformer(**MODEL, num_classes=0)
    with pytest.raises(InputError, match=r"head\.classifier\.0.*--num-classes 0"):
        assign(model, checkpoint, layout)
    assign(model, checkpoint, layout, {"head*": "no head is wanted"})


def test_a_pooler_that_a_head_of_ones_own_may_read_is_no_more_left_out():
    golden = {"vit." + name: tensor for name, tensor in _hugging_face().items()}
    alone = opened(golden)
    assert any("pooler" in name for name in alone.dropped)
    with_head = opened({**golden, **head("fc")})
    assert "head.weight" in with_head
    assert "head.pooler.dense.weight" in with_head


def _hugging_face():
    return random(
        {
            "embeddings.cls_token": (1, 1, WIDTH),
            "embeddings.position_embeddings": (1, 5, WIDTH),
            **_linear("embeddings.patch_embeddings.projection", WIDTH, WIDTH),
            **_linear("pooler.dense", WIDTH, WIDTH),
        }
    )


def test_two_networks_that_none_puts_first_are_asked_about():
    with pytest.raises(UsageError, match=r"2 networks.*'rgb', 'depth'.*--select"):
        opened({**under("rgb.", trunk()), **under("depth.", trunk(1))})


def test_a_network_within_another_is_another_network():
    inside = {**PLAIN, **under("ema.", trunk(1))}
    assert_is(opened(inside), trunk(1))
    assert_is(opened({**PLAIN, **under("target_net.", {**trunk(1), **HEAD})}), PLAIN)


def test_names_come_from_the_file_itself():
    checkpoint = open_checkpoint(flat("encoder.", "fc"))
    assert "fc.weight" in checkpoint
    assert any("'fc'" in note for note in unwrap(checkpoint).notes)
