"""DINOv3's three layouts, of one set of weights: Meta's, timm's and Hugging Face's."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from kerasvit.conversion import convert, export_weights
from kerasvit.conversion.export import export_notes, tensors_of
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.proof.parity import compare
from kerasvit.conversion.proof.timm.model import TimmReference
from kerasvit.errors import InputError, UsageError
from kerasvit.layers.rotary.rules import dinov3_periods
from kerasvit.models import create_model

HEAD_DIM = 16
NAMES = ("vit_small_patch16_dinov3_qkvb", "vit_small_plus_patch16_dinov3_qkvb")
SMALL = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 40}
IMAGES = np.random.default_rng(1).normal(size=(2, 48, 80, 3)).astype("float32")


def timms(random_state, name):
    """Return a random state dict of a narrow model, in arrays, with sharp attention."""
    own = {"embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 40.5 / 48}
    gate = {"swiglu_align_to": 1} if "plus" in name else {}
    state = random_state(name, img_size=(64, 64), **own, **gate)
    return {
        key: 3 * value.numpy() if "qkv.weight" in key else value.numpy()
        for key, value in state.items()
    }


def metas(state, periods="bfloat16"):
    """Return the same weights as Meta's own files name them."""
    found = {}
    for key, value in state.items():
        prefix = key.rsplit(".", 1)[0]
        if key.endswith("q_bias"):
            keys = np.full_like(value, 9.0)  # that the mask takes away
            found[f"{prefix}.qkv.bias"] = np.concatenate([value, keys, state[f"{prefix}.v_bias"]])
            ones = np.ones_like(value)
            found[f"{prefix}.qkv.bias_mask"] = np.concatenate([ones, 0 * ones, ones])
        elif not key.endswith("v_bias"):
            for ours, theirs in (
                ("reg_token", "storage_tokens"),
                ("fc1_g.", "w1."),
                ("fc1_x.", "w2."),
                ("gamma_1", "ls1.gamma"),
                ("gamma_2", "ls2.gamma"),
            ):
                key = key.replace(ours, theirs)
            is_gated = "blocks.0.mlp.fc1_g.weight" in state
            found[key.replace("fc2.", "w3.") if is_gated else key] = value
    return found | {
        "mask_token": np.zeros((1, 48), "float32"),
        "local_cls_norm.weight": np.ones(48, "float32"),
        "local_cls_norm.bias": np.ones(48, "float32"),
        "rope_embed.periods": dinov3_periods(HEAD_DIM, 100.0, periods),
    }


def huggingfaces(state, prefix=""):
    """Return the same weights as Hugging Face names them."""
    found = {"embeddings.mask_token": np.zeros((1, 1, 48), "float32")}
    is_gated = "blocks.0.mlp.fc1_g.weight" in state
    for key, value in state.items():
        for ours, theirs in (
            ("patch_embed.proj.", "embeddings.patch_embeddings."),
            ("cls_token", "embeddings.cls_token"),
            ("reg_token", "embeddings.register_tokens"),
            ("blocks.", f"{prefix}layer."),
            ("attn.proj.", "attention.o_proj."),
            ("attn.q_bias", "attention.q_proj.bias"),
            ("attn.v_bias", "attention.v_proj.bias"),
            ("gamma_1", "layer_scale1.lambda1"),
            ("gamma_2", "layer_scale2.lambda1"),
            ("mlp.fc1_g.", "mlp.gate_proj."),
            ("mlp.fc1_x." if is_gated else "mlp.fc1.", "mlp.up_proj."),
            ("mlp.fc2.", "mlp.down_proj."),
        ):
            key = key.replace(ours, theirs)
        if key.endswith("attn.qkv.weight"):
            for part, rows in zip("qkv", np.split(value, 3), strict=True):
                found[key.replace("attn.qkv", f"attention.{part}_proj")] = rows
        else:
            found[key] = value
    return found


def converted(state, name=NAMES[0], **options):
    return convert(state, model=name, image_shape=(64, 64), verify=False, **SMALL, **options).model


def outputs_of(model):
    logits, scores, _ = model(IMAGES)
    return {"logits": to_numpy(logits), **{key: to_numpy(value) for key, value in scores.items()}}


@pytest.mark.parametrize("periods", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_three_layouts_of_the_same_weights_are_one_model(timm, random_state, name, periods):
    state = timms(random_state, name)
    models = [
        converted(state, name, rope_periods=periods),
        converted(metas(state, periods), name),
        converted(huggingfaces(state), name, rope_periods=periods),
        converted(huggingfaces(state, "model."), name, rope_periods=periods),
    ]
    wanted = outputs_of(models[0])
    for model in models:
        assert model.rope_periods == periods
        assert model.record["facts"]["rope_periods"]["value"] == periods
        for one, other in zip(model.weights, models[0].weights, strict=True):
            assert one.path == other.path
            assert np.array_equal(to_numpy(one), to_numpy(other))
        found = outputs_of(model)
        assert all(np.array_equal(found[key], value) for key, value in wanted.items())
    reference = TimmReference(timm, models[1], open_checkpoint(state), IMAGES.shape[1:3])
    parity = compare(models[1], reference.run(IMAGES), IMAGES)
    parity.check(name)


def test_the_rules_of_periods_give_other_scores(random_state):
    state = timms(random_state, NAMES[0])
    scores = [
        outputs_of(converted(state, rope_periods=periods))["sa_ffn_block_01_att"]
        for periods in ("float32", "bfloat16")
    ]
    assert np.abs(scores[0] - scores[1]).max() > 1e-4


def test_a_files_own_periods_win_and_the_record_says_so(random_state):
    metas_state = metas(timms(random_state, NAMES[0]))
    model = converted(metas_state, rope_periods="float32")
    assert model.rope_periods == "bfloat16"
    assert model.record["facts"]["rope_periods"]["origin"] == "the tensors"
    notes = model.record["source"]["notes"]
    assert "Kept the file's own rotary periods, bfloat16." in notes
    dropped = model.record["source"]["dropped"]
    assert {"mask_token", "local_cls_norm.weight", "rope_embed.periods"} <= set(dropped)
    own = metas_state | {"rope_embed.periods": np.array([1, 3, 9, 31], "float32")}
    assert converted(own).rope_periods == [1.0, 3.0, 9.0, 31.0]


def test_biases_of_keys_are_no_dinov3s(random_state):
    state = metas(timms(random_state, NAMES[0]))
    state["blocks.1.attn.qkv.bias_mask"] = np.ones(144, "float32")
    with pytest.raises(InputError, match="have no biases"):
        converted(state)


def test_the_projections_of_eupe_are_left_out(random_state):
    state = metas(timms(random_state, NAMES[0]))
    state["projectors.dinov3.fc.weight"] = np.zeros((3, 48), "float32")
    model = converted(state)
    assert "projectors.dinov3.fc.weight" in model.record["source"]["dropped"]


@pytest.mark.parametrize("name", NAMES)
def test_the_way_back_gives_timms_tensors(random_state, name):
    state = timms(random_state, name)
    exported = tensors_of(converted(metas(state), name))
    assert set(exported) == set(state)
    assert all(np.array_equal(exported[key].load(key), state[key]) for key in state)


def without_biases(state):
    return {key: value for key, value in state.items() if not key.endswith("_bias")}


@pytest.mark.parametrize("periods", ["float32", "bfloat16", "own"])
@pytest.mark.parametrize("name", [*NAMES, "vit_7b_patch16_dinov3"])
def test_the_way_back_gives_metas_file(random_state, tmp_path, name, periods):
    """All tensors that its `load_state_dict` wants; what the mask takes away is zero again."""
    state = timms(random_state, NAMES["plus" in name or "7b" in name])
    if "7b" in name:
        state = without_biases(state)
    file = metas(state, "float32" if periods == "own" else periods)
    if periods == "own":
        file["rope_embed.periods"] = np.array([1, 3, 9, 31], "float32")
    model = converted(file, name)
    path = export_weights(model, tmp_path / "file.safetensors", "dinov3")
    exported = open_checkpoint(path)
    assert set(exported.names) == set(file)
    for key, value in file.items():
        if key.endswith("qkv.bias"):
            value = value * file[f"{key}_mask"]
        if key.startswith("local_cls_norm"):
            value = np.full_like(value, key.endswith("weight"))
        np.testing.assert_array_equal(exported[key], value, key, strict=True)
    again = converted(path, name)
    assert {**again.get_config(), "record": 0} == {**model.get_config(), "record": 0}
    wanted, found = outputs_of(model), outputs_of(again)
    assert all(np.array_equal(found[key], value) for key, value in wanted.items())


def test_the_norm_of_local_crops_is_there_where_metas_network_wants_it(random_state):
    state = timms(random_state, NAMES[0])
    assert not any("local" in key for key in tensors_of(converted(state), "dinov3"))
    assert any("local" in key for key in tensors_of(converted(metas(state)), "dinov3"))
    seven = converted(timms(random_state, NAMES[1]), NAMES[1])
    seven.name = "vit_7b_patch16_dinov3"
    assert any("local" in key for key in tensors_of(seven, "dinov3"))


def test_what_is_not_kept_and_which_periods_count_is_said(random_state):
    state = timms(random_state, NAMES[0])
    model = converted(metas(state))
    notes = " ".join(export_notes(model, "dinov3"))
    assert "mask_token is zeros" in notes
    assert "local_cls_norm" in notes
    assert "periods" not in notes
    for layout, package in (("timm", "timm"), ("huggingface", "transformers")):
        (note,) = (one for one in export_notes(model, layout) if "periods" in one)
        assert note.startswith(package)
        assert "bfloat16" in note
        plain = converted(state)
        assert not any("periods" in one for one in export_notes(plain, layout))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pooling": "average"}, "pooling='class'"),
        ({"num_classes": 3}, "num_classes=0"),
        ({"use_key_bias": True}, "use_key_bias=False"),
        ({"activation": "relu"}, "activation='gelu'"),
        ({"layer_scale_init_value": None}, "LayerScale"),
        ({"rope_type": "axial"}, "rope_type='dinov3'"),
    ],
)
def test_what_metas_network_has_not_is_refused(arguments, words):
    sizes = {"image_shape": (32, 32, 3), "num_classes": 0, **SMALL, **arguments}
    model = create_model("vit_small_patch16_dinov3_qkvb", **sizes)
    with pytest.raises(UsageError, match=words):
        tensors_of(model, "dinov3")


@pytest.mark.parametrize("periods", ["bfloat16", "own"])
def test_a_folder_for_transformers_keeps_the_periods(random_state, tmp_path, periods):
    """transformers computes them in float32, whatever the config says: so `convert` sets them."""
    pytest.importorskip("transformers")
    file = metas(timms(random_state, NAMES[1]))
    if periods == "own":
        file["rope_embed.periods"] = np.array([1, 3, 9, 31], "float32")
    model = converted(file, NAMES[1])
    export_weights(model, tmp_path / "folder", "huggingface")
    result = convert(tmp_path / "folder", verify=True)
    assert result.model.rope_periods == model.rope_periods != "float32"
    assert result.model.record["facts"]["rope_periods"]["origin"] == "config.json"
    wanted, found = outputs_of(model), outputs_of(result.model)
    assert all(np.array_equal(found[key], value) for key, value in wanted.items())
    assert convert(tmp_path / "folder", rope_periods="float32").model.rope_periods == "float32"


def test_a_file_of_meta_needs_no_name(timm):
    """LingBot-Vision has the same network: DINOv3's name stands for both, and its heads are asked
    of nobody."""
    import torch

    with torch.device("meta"):
        shapes = timm.create_model("vit_small_patch16_dinov3_qkvb").state_dict()
    state = metas({key: np.zeros(value.shape, "float32") for key, value in shapes.items()})
    state["rope_embed.periods"] = dinov3_periods(64, 100.0, "bfloat16")
    model = convert(state, verify=False).model
    assert model.name == "vit_small_patch16_dinov3_qkvb"
    assert model.image_shape == (256, 256, 3)


def test_a_narrow_network_of_no_name(random_state):
    state = metas(timms(random_state, NAMES[0]))
    model = convert(
        state, num_heads=3, image_shape=(64, 64), arguments={"rope_type": "dinov3"}, verify=False
    ).model
    assert (model.rope_type, model.rope_periods, model.num_registers) == ("dinov3", "bfloat16", 4)


LIVE = {
    "vit_small_patch16_dinov3_qkvb": {},
    "eva02_base_patch16_clip_224": {},
    "vit_pe_core_base_patch16_224": {"attn_pool_num_heads": 4},
    "vit_small_patch16_rope_mixed_ape_224": {},
    "vit_small_patch16_rope_224": {},
    "eva02_enormous_patch14_clip_224": {},
}


@pytest.mark.parametrize("name", LIVE)
def test_a_live_module_is_compared_with_itself(timm, name):
    import torch

    torch.manual_seed(0)
    own = {"embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 40.5 / 48, **LIVE[name]}
    size = (64, 96) if "16" in name else (56, 84)
    module = timm.create_model(name, img_size=size, num_classes=0, **own)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    if name.endswith("qkvb"):
        module.rope.periods.copy_(torch.from_numpy(dinov3_periods(HEAD_DIM, 100.0, "bfloat16")))
    result = convert(module, verify=True)
    assert result.parity.argmax_equal
    assert len(result.parity.scores) == 2 + ("pe_core" in name)
    if name.endswith("qkvb"):
        assert (result.model.pooling, result.model.rope_periods) == ("average", "bfloat16")


@pytest.mark.parametrize("periods", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_transformers_computes_the_same(random_state, tmp_path, name, periods):
    """Of a folder as transformers saves it, with either rule of periods."""
    transformers = pytest.importorskip("transformers")
    import torch

    is_gated = "plus" in name
    config = transformers.DINOv3ViTConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        num_register_tokens=4,
        use_gated_mlp=is_gated,
        hidden_act="silu" if is_gated else "gelu",
        image_size=64,
    )
    module = transformers.DINOv3ViTModel(config)
    tensors = {
        key: torch.from_numpy(value)
        for key, value in huggingfaces(timms(random_state, name), "model.").items()
    }
    module.load_state_dict(tensors)
    module.save_pretrained(tmp_path)
    result = convert(tmp_path, rope_periods=periods, verify=True)
    assert "DINOv3ViTModel" in result.parity.reference
    assert len(result.parity.scores) == 2
    assert result.model.rope_periods == periods
    assert result.model.image_shape == (64, 64, 3)
    live = convert(module, verify=True)
    assert live.model.rope_periods == "float32"
