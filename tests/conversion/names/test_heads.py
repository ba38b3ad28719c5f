"""Linear heads of DINO and DINOv2, joined with their backbones, against the published formulas."""

import numpy as np
import pytest
import torch
from keras import ops

from kerasvit.conversion import convert
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.heads import join
from kerasvit.conversion.sources import opening
from kerasvit.errors import InputError, UsageError
from kerasvit.releases import find_release

CLASSES = 7
SIZES = {"hidden_dim": 24, "num_layers": 5, "num_heads": 3, "mlp_dim": 48}
TIMM_SIZES = {"embed_dim": 24, "depth": 5, "num_heads": 3, "mlp_ratio": 2}
DINO = {"model": "vit_small_patch16_224", **SIZES}
DINOV2 = {"model": "vit_small_patch14_dinov2", **SIZES}
SIDES = {"patch8": 24, "patch14": 56, "patch16": 48}
# The head's width in widths of a token, the backbone, and what eval_linear.py of DINO, and
# classifiers.py of DINOv2, put together of the blocks' tokens after the norm.
CASES = {
    "DINO ViT-S": (4, DINO, lambda blocks: torch.cat([one[:, 0] for one in blocks[-4:]], -1)),
    "DINO ViT-B": (
        2,
        DINO,
        lambda blocks: torch.stack([blocks[-1][:, 0], blocks[-1][:, 1:].mean(1)], -1).flatten(1),
    ),
    "DINOv2, 1 block": (
        2,
        DINOV2,
        lambda blocks: torch.cat([blocks[-1][:, 0], blocks[-1][:, 1:].mean(1)], -1),
    ),
    "DINOv2, 4 blocks": (
        5,
        DINOV2,
        lambda blocks: torch.cat(
            [*(one[:, 0] for one in blocks[-4:]), blocks[-1][:, 1:].mean(1)], -1
        ),
    ),
}


def _side(model):
    return next(side for patch, side in SIDES.items() if f"_{patch}_" in model)


@pytest.fixture(scope="module")
def backbones(random_state):
    """Return a function that gives the randomised weights of a tiny backbone."""

    def make(model):
        return random_state(model, num_classes=0, img_size=_side(model), **TIMM_SIZES)

    return make


def _head(width, layout="dino"):
    random = np.random.default_rng(3)
    weight = random.normal(0, 0.2, (CLASSES, 24 * width)).astype("float32")
    bias = random.normal(size=CLASSES).astype("float32")
    if layout == "dino":
        names = ("module.linear.weight", "module.linear.bias")
        return {"epoch": 100, "state_dict": dict(zip(names, (weight, bias), strict=True))}
    return {"weight": weight, "bias": bias}


def _blocks(timm, state, model, images):
    """Return every block's tokens after the norm, of timm's model."""
    module = timm.create_model(model, num_classes=0, img_size=_side(model), **TIMM_SIZES).eval()
    module.load_state_dict(state)
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = module.get_intermediate_layers(pixels, n=5, return_prefix_tokens=True, norm=True)
    return [torch.cat([prefix, patches], 1) for patches, prefix in found]


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_published_formula(timm, backbones, case):
    width, arguments, feature = CASES[case]
    state = backbones(arguments["model"])
    head = _head(width, "dino" if "DINO " in case else "dinov2")
    side = _side(arguments["model"])
    result = convert(state, head=head, image_shape=(side, side), verify=True, **arguments)
    assert result.parity.logits <= 1e-4
    images = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype("float32")
    blocks = _blocks(timm, state, arguments["model"], images)
    weight, bias = map(torch.from_numpy, head.get("state_dict", head).values())
    expected = torch.nn.functional.linear(feature(blocks), weight, bias).numpy()
    logits = ops.convert_to_numpy(result.model(images)[0])
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_the_arguments_can_be_said(backbones):
    state = backbones(DINO["model"])
    model = convert(
        state, head=_head(2), arguments={"head_interleaved": False}, verify=False, **DINO
    ).model
    assert (model.head_patch_mean, model.head_interleaved) == (True, False)


def test_the_backbones_own_head_is_dropped_for_a_reason(backbones):
    state = {
        **backbones(DINO["model"]),
        "head.weight": torch.zeros(3, 24),
        "head.bias": torch.zeros(3),
    }
    result = convert(state, head=_head(4), verify=False, **DINO)
    assert result.model.num_classes == CLASSES
    assert set(result.model.record["source"]["dropped"]) == {"head.weight", "head.bias"}
    assert any("linear head" in note for note in result.notes)


def test_without_its_classes_it_is_the_backbone(backbones):
    state = backbones(DINO["model"])
    model = convert(state, head=_head(4), num_classes=0, verify=False, **DINO).model
    assert (model.num_classes, model.head_blocks) == (0, 1)


def test_a_head_that_does_not_fit_is_refused(backbones):
    backbone = open_checkpoint(backbones(DINO["model"]))
    for head, words in (
        ({"weight": np.ones((7, 72)), "bias": np.ones(7)}, "Received: 72"),
        ({"weight": np.ones((7, 24))}, "no linear head"),
        ({"weight": np.ones((7, 24)), "bias": np.ones(8)}, "no linear head"),
    ):
        with pytest.raises(InputError, match=words):
            join(backbone, open_checkpoint(head))


def test_a_head_alone_is_no_model():
    with pytest.raises(UsageError, match="--head"):
        convert(_head(4), verify=False)


@pytest.mark.parametrize("name", ["dino_vits8.linear", "dino_vitb16.linear"])
def test_the_release_of_a_head_brings_its_backbone(name, backbones, tmp_path, monkeypatch):
    """The two files come from the addresses of the two records."""
    release = find_release(name)
    backbone = find_release(release.backbone)
    head = _head(release.head["blocks"] + release.head["patch_mean"])["state_dict"]
    head = {"state_dict": {key: torch.from_numpy(value) for key, value in head.items()}}
    files = {backbone.url: tmp_path / "backbone.pth", release.url: tmp_path / "head.pth"}
    for path, content in zip(files.values(), (backbones(release.model), head), strict=True):
        torch.save(content, path)
    monkeypatch.setattr(
        "kerasvit.conversion.sources.remote.download", lambda url, sha256: files[url]
    )
    model = convert(name, verify=False, **SIZES).model
    assert model.num_classes == CLASSES
    assert model.head_blocks == release.head["blocks"]
    assert model.head_interleaved == release.head["interleaved"]
    assert model.record["release"] == name


def test_a_head_beside_a_release_of_a_head_is_refused():
    with pytest.raises(UsageError, match="dino_vits8"):
        opening.open_source("dino_vits8.linear", head={"weight": np.ones((2, 2))})
