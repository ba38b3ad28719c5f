"""Wrappers, prefixes and DINO's networks: rows 5 and 9 of the fault table."""

import argparse

import numpy as np
import pytest

from kerasvit.conversion.facts.facts import Rank
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError, UsageError

torch = pytest.importorskip("torch")

NAMES = ("cls_token", "patch_embed.proj.weight", "blocks.0.norm1.bias", "head.weight")


def weights(offset=0.0, prefix="", names=NAMES):
    return {prefix + name: np.full((2, 3), offset + i) for i, name in enumerate(names)}


def dino(prefix="", offset=0.0):
    backbone = weights(offset, f"{prefix}backbone.", NAMES[:3])
    head = ("mlp.0.weight", "mlp.2.bias", "last_layer.weight_g", "last_layer.weight_v")
    return backbone | weights(offset, f"{prefix}head.", head)


def full_dino():
    return {
        "student": dino("module.", offset=10.0),
        "teacher": dino(),
        "optimizer": {"state": {0: {"exp_avg": np.ones(3)}}, "param_groups": []},
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small"),
        "dino_loss": {"center": np.zeros((1, 8))},
    }


def assert_holds(checkpoint, expected):
    assert checkpoint.names == tuple(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(checkpoint[name], array)


def test_a_bare_state_dict_passes_unchanged_and_unremarked():
    result = unwrap(weights())
    assert_holds(result, weights())
    assert result.notes == ()
    assert result.dropped == {}


def test_unwrapping_again_changes_nothing():
    once = unwrap(full_dino())
    twice = unwrap(once)
    assert twice.names == once.names
    assert twice.notes == once.notes
    assert twice.dropped == once.dropped


@pytest.mark.parametrize(
    "wrapper", ["model", "state_dict", "model_state", "model_ema", "state_dict_ema"]
)
def test_a_wrapper_is_opened_and_noted(wrapper):
    result = unwrap({wrapper: weights(), "epoch": 3, "optimizer": {"state": {0: np.ones(2)}}})
    assert_holds(result, weights())
    assert f"Took '{wrapper}'" in result.notes[0]
    assert "'epoch', 'optimizer'" in result.notes[0]


@pytest.mark.parametrize(
    ("averaged", "plain"), [("state_dict_ema", "state_dict"), ("model_ema", "model")]
)
def test_averaged_weights_come_before_the_last_step(averaged, plain):
    for names in ((plain, averaged), (averaged, plain)):
        source = {name: weights(offset=5.0 if name == averaged else 0.0) for name in names}
        result = unwrap(source)
        assert_holds(result, weights(offset=5.0))
        assert "the averaged weights" in result.notes[0]
        assert f"'{plain}'" in result.notes[0]


@pytest.mark.parametrize("absent", [None, {}, "none"])
def test_a_wrapper_without_tensors_does_not_count(absent):
    assert_holds(unwrap({"state_dict": weights(), "state_dict_ema": absent}), weights())


def test_wrappers_in_wrappers():
    result = unwrap({"model": {"state_dict": weights(prefix="module.")}})
    assert_holds(result, weights())
    assert len(result.notes) == 3


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "backbone.",
        "model.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.backbone.",
        "module.module.",
    ],
)
def test_prefixes_on_every_name_are_removed(prefix):
    result = unwrap(weights(prefix=prefix))
    assert_holds(result, weights())
    assert result.notes == (f"Removed the prefix {prefix!r} from 4 names.",)


def test_prefixes_stay_where_not_every_name_has_them_and_inside_names():
    for source in (
        {"module.weight": np.ones(2), "extra.weight": np.ones(2)},
        weights(names=("a.module.weight", "modules.weight", "backbone_norm.weight")),
    ):
        assert_holds(unwrap(source), source)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "model."])
def test_a_tensor_with_and_without_the_prefix_is_refused(prefix):
    source = {**weights(prefix=prefix), "cls_token": np.ones(2)}
    with pytest.raises(InputError, match=f"twice.*'{prefix}cls_token' and 'cls_token'"):
        unwrap(source)


@pytest.mark.parametrize(("select", "offset"), [(None, 0.0), ("teacher", 0.0), ("student", 10.0)])
def test_a_full_dino_checkpoint_gives_the_backbone_of_one_network(select, offset):
    result = unwrap(full_dino(), select)
    assert_holds(result, weights(offset, names=NAMES[:3]))
    assert len(result.dropped) == 4
    assert all(name.startswith("head.") for name in result.dropped)
    assert all("projection head" in reason for reason in result.dropped.values())
    notes = " ".join(result.notes)
    assert f"Took '{select or 'teacher'}'" in notes
    assert "'optimizer', 'epoch', 'args', 'dino_loss'" in notes
    assert "Dropped 4 tensors" in notes


@pytest.mark.parametrize("zip_format", [True, False])
def test_a_full_dino_checkpoint_from_a_file(tmp_path, zip_format):
    def to_torch(value):
        if isinstance(value, dict):
            return {name: to_torch(item) for name, item in value.items()}
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    path = tmp_path / "dino_full_checkpoint.pth"
    torch.save(to_torch(full_dino()), path, _use_new_zipfile_serialization=zip_format)
    checkpoint = open_checkpoint(path)
    result = unwrap(checkpoint, "student")
    assert_holds(result, weights(10.0, names=NAMES[:3]))
    assert (result.path, result.sha256) == (path, checkpoint.sha256)


def test_dinov2_heads_are_dropped_beside_the_backbone():
    names = ("dino_head.mlp.0.weight", "dino_head.last_layer.weight_v", "ibot_head.mlp.0.weight")
    source = {"teacher": weights(prefix="backbone.", names=NAMES[:3]) | weights(names=names)}
    result = unwrap(source)
    assert_holds(result, weights(names=NAMES[:3]))
    assert tuple(result.dropped) == names


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("backbone", ["backbone.", ""])
@pytest.mark.parametrize(("select", "offset"), [(None, 0.0), ("student", 10.0)])
def test_both_networks_of_dinov2_in_one_flat_mapping(prefix, backbone, select, offset):
    state = {
        **weights(0.0, f"{prefix}teacher.{backbone}", NAMES[:3]),
        **weights(10.0, f"{prefix}student.{backbone}", NAMES[:3]),
        f"{prefix}dino_loss.center": np.zeros((1, 8)),
    }
    result = unwrap({"model": state, "iteration": 3}, select)
    assert_holds(result, weights(offset, names=NAMES[:3]))
    assert result.dropped == {"dino_loss.center": "of the loss, no part of the network"}
    other = "student" if select is None else "teacher"
    assert any(f"Left aside '{other}'" in note for note in result.notes)


def test_a_flat_mapping_of_one_network_must_be_the_one_asked_for():
    state = weights(prefix="teacher.backbone.", names=NAMES[:3])
    assert_holds(unwrap(state), weights(names=NAMES[:3]))
    with pytest.raises(UsageError, match="has no 'student'"):
        unwrap(state, "student")


def test_the_chunks_of_dinov2s_training_are_joined():
    names = ("blocks.0.0.norm1.weight", "blocks.0.1.norm1.weight", "blocks.1.2.norm1.weight")
    result = unwrap({"teacher": weights(prefix="backbone.", names=(NAMES[1], *names))})
    joined = tuple(f"blocks.{index}.norm1.weight" for index in range(3))
    assert_holds(result, weights(names=(NAMES[1], *joined)))
    assert any("chunks" in note for note in result.notes)


def test_a_block_twice_in_the_chunks_is_refused():
    names = (NAMES[1], "blocks.0.1.norm1.weight", "blocks.1.1.norm1.weight")
    with pytest.raises(InputError, match="twice"):
        unwrap(weights(names=names))


@pytest.mark.parametrize(
    ("select", "offset"), [(None, 0.0), ("encoder", 0.0), ("target_encoder", 10.0)]
)
def test_an_i_jepa_checkpoint_gives_one_of_its_encoders(select, offset):
    source = {
        "encoder": weights(prefix="module."),
        "predictor": weights(5.0, "module."),
        "target_encoder": weights(10.0, "module."),
        "opt": {"state": {0: np.ones(3)}},
        "epoch": 3,
    }
    result = unwrap(source, select)
    assert_holds(result, weights(offset))
    assert "'predictor'" in result.notes[0]


def test_a_head_is_never_dropped_without_the_backbone_it_was_trained_on():
    for source in (
        weights(names=("head.mlp.0.weight", "head.last_layer.weight_g")),
        weights(names=(*NAMES[:2], "head.mlp.0.weight", "head.mlp.2.weight")),
    ):
        result = unwrap(source)
        assert_holds(result, source)
        assert result.dropped == {}


def test_what_no_table_knows_stays_to_be_refused():
    source = weights(names=("backbone.cls_token", f"backbone.{NAMES[1]}", "neck.weight"))
    assert unwrap(source).names == ("cls_token", NAMES[1], "neck.weight")


def test_a_linear_head_of_dino():
    source = {
        "epoch": 100,
        "state_dict": weights(prefix="module.linear.", names=("weight", "bias")),
    }
    assert unwrap(source).names == ("linear.weight", "linear.bias")


def test_select_must_name_a_network_that_is_there():
    for source, select, words in (
        (full_dino(), "both", "has no 'both'"),
        (weights(), "teacher", "has no 'teacher'"),
        ({"model": weights()}, "student", "has no 'student'"),
        ({"student": dino()}, None, "select='student'"),
        ({"teacher": dino()}, "student", "has no 'student'"),
    ):
        with pytest.raises(UsageError, match=words):
            unwrap(source, select)
    assert len(unwrap({"student": dino()}, "student")) == 3


def test_an_unknown_wrapper_is_refused_by_name():
    unknown = {"linear.weight": np.ones((2, 3)), "linear.bias": np.ones(2)}
    for source in (
        {"network": unknown, "epoch": 3},
        {"cls_token": np.ones(2), "network": unknown},
        {"model": {"encoder": unknown, "decoder": unknown}},
    ):
        with pytest.raises(InputError, match=r"Received: (network|encoder, decoder)"):
            unwrap(source)


def test_two_networks_of_one_rank_are_asked_about():
    source = {"left": weights(), "right": weights(10.0)}
    with pytest.raises(UsageError, match=r"2 networks.*'left', 'right'.*--select"):
        unwrap(source)
    assert_holds(unwrap(source, "right"), weights(10.0))


def test_what_is_no_tensor_is_left_aside_with_a_note():
    result = unwrap({**weights(), "arch": "vit", "_extra_state": None})
    assert_holds(result, weights())
    assert result.notes == ("Left aside what is no tensor: 'arch', '_extra_state'.",)


def test_a_checkpoint_keeps_its_first_notes(tmp_path):
    path = tmp_path / "old.pth"
    tensors = {"module.weight": torch.ones(2)}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    notes = unwrap(path).notes
    assert notes[0].startswith("Unverified")
    assert "'module.'" in notes[1]


@pytest.mark.parametrize(
    ("said", "heads", "origin"),
    [
        ({"args": argparse.Namespace(num_heads=12, depth=3)}, 12, "args in the file"),
        ({"hyper_parameters": {"num_heads": 6, "lr": 0.1}}, 6, "hyper_parameters in the file"),
        ({"arch": "vit_small_patch16_224"}, 6, "the file: arch='vit_small_patch16_224'"),
        ({"args": argparse.Namespace(model="vit_base_patch16_224.mae")}, 12, "args in the file"),
    ],
)
def test_what_a_training_script_says_of_its_network_is_a_fact(said, heads, origin):
    fact = unwrap({"state_dict": weights(), **said}).facts["num_heads"]
    assert (fact.value, fact.rank) == (heads, Rank.STATED)
    assert fact.origin.startswith(origin)


@pytest.mark.parametrize(
    "said",
    [
        {"arch": "vit_small"},
        {"args": argparse.Namespace(num_heads=True, arch=None)},
        {"hyper_parameters": {"num_heads": "twelve", "model": ["vit_small_patch16_224"]}},
        {},
    ],
)
def test_what_says_nothing_is_no_fact(said):
    assert len(unwrap({"state_dict": weights(), **said}).facts) == 0
