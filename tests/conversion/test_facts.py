"""Checkpoints whose tensors fit several networks: the right one is made, or it is asked for.

The cases of `checkpoints.md` section 1, and more of their kind. Each network is the source's own,
small, with every parameter away from its default; what counts is its own forward pass.
"""

import functools
import json

import numpy as np
import pytest
import safetensors.torch
from breadth import combinations, spread

from benchmarks.conversion_draws import check, difference, draw, randomise
from kerasvit.conversion import convert, verify_file
from kerasvit.conversion.architecture.sincos import _formula, kind_of_positions
from kerasvit.conversion.facts.facts import by_name, by_user, certain, stated
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.proof.timm.package import prepare_torchvision
from kerasvit.errors import InputError, KerasViTError, UsageError

prepare_torchvision()  # transformers imports it
transformers = pytest.importorskip("transformers", minversion="5")


def made(timm, name, number=0, **arguments):
    """Return a small randomised timm model."""
    arguments = {"depth": 1, "num_classes": 5, **arguments}
    return randomise(timm.create_model(name, **arguments), number)


def saved(module, folder, config=None):
    folder.mkdir(exist_ok=True)
    path = folder / "model.safetensors"
    state = {key: value.contiguous() for key, value in module.state_dict().items()}
    safetensors.torch.save_file(state, path)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return path


def agrees(module, model):
    """Tell whether a model computes what a timm module does."""
    import torch
    from keras import ops

    shape = (2, *model.image_shape)
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    logits = ops.convert_to_numpy(model(images)[0])
    return np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


# ---- statements ---------------------------------------------------------------------------------


def test_the_strongest_origin_counts_and_two_strong_ones_must_agree():
    config = stated("config.json", {"num_heads": 12})
    assert (by_name("vit_tiny_patch16_224", {"num_heads": 3}) | config)["num_heads"].value == 12
    release = stated("the release x", {"num_heads": 3})
    with pytest.raises(
        InputError, match=r"12 \(config.json\) and 3 \(the release x\).*--num-heads"
    ):
        (config | release)["num_heads"]
    assert (config | release | by_user({"num_heads": 3}))["num_heads"].value == 3
    tensors = certain("the tensors", {"num_heads": 6})
    with pytest.raises(InputError, match="the tensors"):
        (config | tensors)["num_heads"]
    with pytest.raises(UsageError, match="--num-heads"):
        (tensors | by_user({"num_heads": 3}))["num_heads"]
    assert (config | tensors | by_user({"num_heads": 6}))["num_heads"].value == 6


# ---- section 1: heads, activation, epsilon -------------------------------------------------------


def _moco(timm, **arguments):
    import torch

    module = made(timm, "vit_small_patch16_224", num_heads=12, img_size=64, **arguments)
    positions = np.concatenate([np.zeros((1, 384)), _formula(4, 384, "moco")])
    with torch.no_grad():
        module.pos_embed.copy_(torch.from_numpy(positions)[None])
    return module


@pytest.mark.parametrize("prefix", ["", "module.base_encoder."])
def test_moco_v3s_small_vit_is_known_or_asked_about(timm, prefix):
    module = _moco(timm, num_classes=0)
    state = {prefix + key: value for key, value in module.state_dict().items()}
    state = {"arch": "vit_small", "state_dict": state} if prefix else state
    sizes = {"num_layers": 1, "image_shape": (64, 64)}
    with pytest.raises(UsageError, match="--num-heads 6 or --num-heads 12"):
        convert(state, model="vit_small_patch16_224", **sizes)
    model = convert(state, model="vit_small_patch16_224", num_heads=12, verify=True, **sizes).model
    assert agrees(module, model)


@pytest.mark.parametrize("kind", ["moco", "mae"])
def test_fixed_positions_are_told_from_learned_ones(kind):
    positions = np.concatenate([np.zeros((1, 48)), _formula(3, 48, kind)])[None].astype("float32")
    assert kind_of_positions(open_checkpoint({"pos_embed": positions})) == kind
    half = positions.astype("float16")
    assert kind_of_positions(open_checkpoint({"pos_embed": half})) == kind
    positions[0, 3] += 0.1
    assert kind_of_positions(open_checkpoint({"pos_embed": positions})) is None


def _huggingface(**arguments):
    sizes = {"hidden_size": 192, "num_hidden_layers": 1, "intermediate_size": 96}
    config = transformers.ViTConfig(**{**sizes, "image_size": 32, "num_labels": 5, **arguments})
    return randomise(transformers.ViTForImageClassification(config), 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_attention_heads": 12},
        {"num_attention_heads": 3, "hidden_act": "relu"},
        {"num_attention_heads": 3, "layer_norm_eps": 1e-3},
        {"num_attention_heads": 3, "image_size": [48, 80], "patch_size": 8, "num_channels": 4},
    ],
    ids=["heads", "activation", "epsilon", "grid"],
)
def test_a_folder_of_transformers_is_read_with_its_config(tmp_path, arguments):
    module = _huggingface(**arguments)
    module.save_pretrained(tmp_path)
    for source in (tmp_path, tmp_path / "model.safetensors", module):
        conversion = convert(source, verify=True)
        assert "ViTForImageClassification" in conversion.parity.reference
        facts = conversion.model.record["facts"]
        origin = "the live module" if source is module else "config.json"
        assert facts["num_heads"] == {"value": arguments["num_attention_heads"], "origin": origin}


def test_a_file_of_transformers_without_its_config_is_asked_about(tmp_path):
    state = _huggingface(num_attention_heads=12).state_dict()
    for model in (None, "vit_tiny_patch16_224"):
        with pytest.raises(UsageError, match=r"--num-heads (N|12)"):
            convert(state, model=model, num_layers=1, mlp_dim=96, image_shape=(32, 32))


def test_timms_hub_config_decides(timm, tmp_path):
    module = made(timm, "vit_tiny_patch16_224", num_heads=6, img_size=64)
    arguments = {"num_heads": 6, "img_size": 64, "depth": 1}
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 5,
        "model_args": arguments,
        "label_names": list("abcde"),
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "crop_pct": 0.95},
    }
    path = saved(module, tmp_path, config)
    conversion = convert(path, verify=True)
    assert agrees(module, conversion.model)
    assert conversion.model.num_heads == 6
    record = conversion.model.record
    assert record["class_names"] == list("abcde")
    assert record["preprocessing"]["mean"] == [0.1, 0.2, 0.3]
    assert record["preprocessing"]["image_size"] == [64, 64]


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_heads": 6},
        {"act_layer": "relu"},
        {"norm_layer": "epsilon"},
        {"img_size": (192, 224)},
        {"img_size": (224, 256)},
        {"img_size": (48, 128)},
        {"in_chans": 13, "img_size": 64},
        {"global_pool": "avg"},
    ],
    ids=str,
)
def test_a_live_module_is_compared_with_itself(timm, arguments):
    if "norm_layer" in arguments:
        arguments = {"norm_layer": functools.partial(timm.layers.LayerNorm, eps=1e-3)}
    module = made(timm, "vit_tiny_patch16_224", **arguments)
    hooks = len(module.blocks[0].attn.attn_drop._forward_pre_hooks)
    conversion = convert(module, verify=True)
    assert "live" in conversion.parity.reference
    assert len(conversion.parity.scores) == 1
    assert agrees(module, conversion.model)
    assert len(module.blocks[0].attn.attn_drop._forward_pre_hooks) == hooks


def test_the_epsilon_of_a_file_can_be_said(timm):
    norm = functools.partial(timm.layers.LayerNorm, eps=1e-12)
    module = made(timm, "vit_tiny_patch16_224", norm_layer=norm, img_size=64)
    said = {"layer_norm_epsilon": 1e-12, "num_layers": 1, "image_shape": (64, 64)}
    conversion = convert(module.state_dict(), model="vit_tiny_patch16_224", verify=True, **said)
    assert agrees(module, conversion.model)


# ---- positions ----------------------------------------------------------------------------------

RECTANGLES = [(192, 224), (224, 256), (48, 128), (256, 128), (192, 128), (224, 112), (160, 224)]
RECTANGLES += [(32, 112), (128, 512), (144, 256), (96, 160), (112, 448), (64, 16), (208, 240)]
TOKENS = {
    "class": ("vit_tiny_patch16_224", {}),
    "patches": ("vit_tiny_patch16_224", {"no_embed_class": True}),
    "distilled": ("deit_tiny_distilled_patch16_224", {}),
    "registers": ("vit_tiny_patch16_224", {"reg_tokens": 3}),
    "registers alone": (
        "vit_tiny_patch16_224",
        {"reg_tokens": 1, "class_token": False, "global_pool": "avg", "no_embed_class": True},
    ),
    "none": ("vit_tiny_patch16_224", {"class_token": False, "global_pool": "avg"}),
    "CaiT": ("cait_xxs24_224", {}),
}


@pytest.mark.parametrize("size_tokens", spread(*combinations(RECTANGLES, TOKENS)), ids=str)
def test_a_rectangle_is_never_taken_for_another_one(timm, size_tokens):
    size, tokens = size_tokens
    name, arguments = TOKENS[tokens]
    module = made(timm, name, img_size=size, embed_dim=24, num_heads=2, **arguments)
    assert convert(module).model.image_shape == (*size, 3)
    said = {"num_layers": 1, "hidden_dim": 24, "num_heads": 2, "mlp_dim": 96}
    said |= {"num_registers": arguments["reg_tokens"]} if "reg_tokens" in arguments else {}
    if "class_token" in arguments:
        said["arguments"] = {"use_class_token": False}
        said["pooling"] = "average"
    state = module.state_dict()
    model = convert(state, model=name, image_shape=size, **said).model
    assert model.image_shape == (*size, 3)
    assert agrees(module, model)
    # 14 x 14 and 7 x 28 are as many: the name says which is meant.
    is_named = size == (112, 448)
    assert _guessed(state, name, said) in (size, "asked about", *[(224, 224)] * is_named)


def _guessed(state, name, said):
    try:
        return convert(state, model=name, **said).model.image_shape[:2]
    except InputError as error:
        return "asked about" if "--image-size" in str(error) else str(error)


def test_the_named_grid_needs_no_question(timm):
    state = made(timm, "vit_tiny_patch16_224").state_dict()
    sizes = {"num_layers": 1}
    assert convert(state, model="vit_tiny_patch16_224", **sizes).model.image_shape == (224, 224, 3)
    with pytest.raises(InputError, match="a grid of 12x14"):
        convert(state, model="vit_tiny_patch16_224", image_shape=(192, 224), **sizes)


# ---- what is said, and what is not --------------------------------------------------------------


def test_a_name_that_the_file_may_contradict_is_confirmed_or_asked_for(timm):
    state = made(timm, "vit_small_patch16_224", depth=12, embed_dim=384).state_dict()
    with pytest.raises(UsageError, match="-m vit_small_patch16_224"):
        convert(state)
    assert convert(state, model="vit_small_patch16_224").model.num_heads == 6


def test_a_network_without_a_name_needs_its_heads_alone(timm):
    arguments = {"embed_dim": 60, "num_heads": 5, "img_size": (32, 48), "depth": 2}
    module = made(timm, "vit_tiny_patch16_224", **arguments)
    with pytest.raises(UsageError, match="--num-heads N"):
        convert(module.state_dict(), image_shape=(32, 48))
    conversion = convert(module.state_dict(), num_heads=5, image_shape=(32, 48), verify=True)
    assert agrees(module, conversion.model)


def test_an_option_that_does_not_exist_names_the_nearest():
    with pytest.raises(UsageError, match="num_heads"):
        convert({}, num_head=3)
    with pytest.raises(UsageError, match="has no argument 'colour'"):
        convert(_huggingface(num_attention_heads=3), arguments={"colour": 1})


def test_a_contradiction_between_file_and_config_is_refused(timm, tmp_path):
    module = made(timm, "vit_tiny_patch16_224", img_size=64)
    config = {
        "architecture": "vit_tiny_patch16_224",
        "model_args": {"embed_dim": 384, "img_size": 64},
        "pretrained_cfg": {},
    }
    with pytest.raises(KerasViTError, match=r"hidden_dim.*config\.json"):
        convert(saved(module, tmp_path, config))


def test_class_names_must_be_as_many_as_classes(timm, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    module = made(timm, "vit_tiny_patch16_224", img_size=64)
    with pytest.raises(InputError, match=r"names\.txt.*for 5 classes"):
        convert(module, class_names=names)
    names.write_text("\n".join("abcde"))
    assert convert(module, class_names=names).model.record["class_names"] == list("abcde")


def test_verify_shows_a_file_of_another_network_than_its_source(timm, tmp_path):
    module = made(timm, "vit_tiny_patch16_224", img_size=64)
    config = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {}}
    config["model_args"] = {"num_heads": 6, "img_size": 64, "depth": 1}
    path = saved(module, tmp_path / "source")
    wrong = tmp_path / "wrong.keras"
    sizes = {"num_layers": 1, "image_shape": (64, 64)}
    convert(path, wrong, "vit_tiny_patch16_224", **sizes)
    assert all(row[-1] for row in verify_file(wrong, path).rows())
    (path.parent / "config.json").write_text(json.dumps(config))
    lines = []
    rows = verify_file(wrong, path, report=lines.append).rows()
    assert not all(row[-1] for row in rows)
    assert any("num_heads is 3 and should be 6 (config.json)" in line for line in lines)


# ---- random networks ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", spread(range(20), range(6)))
def test_random_networks(timm, tmp_path, number):
    """200 of them: python -m benchmarks.conversion_draws."""
    folder = tmp_path / "network"
    folder.mkdir()
    results = check(draw(number), folder)
    assert (results["live"], results["file"]) == ("right", "right")
    assert results["bare"] == "right" or results["bare"].startswith("refused")


def test_the_draws_notice_a_wrong_fact(timm, tmp_path):
    source = next(
        one for one in map(draw, range(50)) if one.facts["heads"] > 1 and one.name is None
    )
    source.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["num_attention_heads"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = convert(tmp_path, verify=True).model
    assert difference(source, model).startswith("wrong")
