"""XCiT's files: timm's layout, its authors', DINO's backbones, full checkpoints, linear heads."""

import numpy as np
import pytest

from kerasvit import create_model
from kerasvit.conversion import convert
from kerasvit.conversion.export import tensors_of
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.errors import InputError, UsageError

NAME = "xcit_small_12_p16_224"
SMALL = {"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 192}
TIMMS = {"embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 5, "img_size": (64, 80)}


@pytest.fixture(scope="module")
def state(random_state):
    """A small XCiT in timm's names."""
    return random_state(NAME, **TIMMS)


def in_the_authors_names(state):
    """Return what timm's `checkpoint_filter_fn` makes timm's state of, before it does."""
    import torch

    state = {key.replace("pos_embed.", "pos_embeder."): value for key, value in state.items()}
    for index in range(2):
        for part in ("weight", "bias"):
            place = f"cls_attn_blocks.{index}.attn"
            thirds = [state.pop(f"{place}.{letter}.{part}") for letter in "qkv"]
            state[f"{place}.qkv.{part}"] = torch.cat(thirds)
    return state


def converted(source, **options):
    options = {"image_shape": (64, 80, 3), "verify": True, **SMALL, **options}
    return convert(source, model=NAME, **options)


def weights_of(model):
    return {weight.path.split("/", 1)[1]: np.array(weight) for weight in model.weights}


def same(model, other):
    ours, theirs = weights_of(model), weights_of(other)
    return set(ours) == set(theirs) and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def test_both_layouts_are_one_model(timm, state):
    import torch

    ours = converted(state)
    assert ours.parity.largest_score_difference <= 1e-5
    original = in_the_authors_names(state)
    theirs = converted({"model": original})
    assert same(ours.model, theirs.model)
    assert theirs.parity.largest_score_difference <= 1e-5
    exported = tensors_of(ours.model, "xcit")
    module = timm.create_model(NAME, **TIMMS)
    read = {key: torch.from_numpy(tensor.load(key)) for key, tensor in exported.items()}
    assert set(read) == {key for key in original if not key.endswith("num_batches_tracked")}
    assert all(torch.equal(read[key], original[key]) for key in read)
    module.load_state_dict(timm.models.xcit.checkpoint_filter_fn(read, module), strict=True)


def test_full_checkpoint_of_dino(state):
    """The teacher is wrapped for several devices too; projection heads are dropped by name."""
    import torch

    original = {
        key: value
        for key, value in in_the_authors_names(state).items()
        if not key.startswith("head.")
    }

    def network(shift):
        head = {f"module.head.mlp.{i}.weight": torch.ones(2, 2) for i in (0, 2, 4)}
        head["module.head.last_layer.weight_g"] = torch.ones(3, 1)
        moved = {
            f"module.backbone.{k}": v + shift if v.is_floating_point() else v
            for k, v in original.items()
        }
        return {**moved, **head}

    checkpoint = {"student": network(1.0), "teacher": network(0.0), "epoch": 300}
    backbone = converted(dict(original))
    assert backbone.model.num_classes == 0
    assert same(converted(checkpoint).model, backbone.model)
    assert len(unwrap(checkpoint).dropped) == 4


def test_linear_head_of_dino(state):
    import torch

    original = in_the_authors_names(state)
    weight, bias = original.pop("head.weight"), original.pop("head.bias")
    head = {"state_dict": {"module.linear.weight": weight, "module.linear.bias": bias}, "epoch": 3}
    joined = converted(dict(original), head=head)
    assert joined.model.num_classes == 5
    assert same(joined.model, converted(state).model)
    wide = {"linear.weight": torch.ones(5, 192), "linear.bias": torch.ones(5)}
    with pytest.raises((InputError, UsageError)):
        converted(dict(original), head=wide)


def test_a_live_module_says_what_no_tensor_does(timm, state):
    module = timm.create_model("xcit_nano_12_p16_224", **TIMMS)
    module.load_state_dict(state)
    result = convert(module, verify=True)
    assert result.model.use_tokens_norm is False
    assert result.model.image_shape == (64, 80, 3)
    assert result.parity.reference.startswith("the live")
    assert result.parity.largest_score_difference <= 1e-5


def test_what_is_missing_is_named(state):
    broken = {key: value for key, value in state.items() if not key.startswith("pos_embed")}
    with pytest.raises(InputError, match="holds no XCiT") as error:
        converted(broken)
    assert "\n" not in str(error.value)


def test_huggingface_has_no_xcit(tmp_path):
    from kerasvit.conversion import export_weights

    model = create_model(NAME, **SMALL, num_class_layers=1)
    with pytest.raises(UsageError) as error:
        export_weights(model, tmp_path / "folder", layout="huggingface")
    assert "\n" not in str(error.value)
    for layout in ("cait", "dino", "dinov2"):
        with pytest.raises(UsageError, match="alone"):
            export_weights(model, tmp_path / "file.safetensors", layout=layout)
