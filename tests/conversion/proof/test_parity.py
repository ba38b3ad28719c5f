"""Converted models against timm: logits, features and every score map, on randomised weights."""

import numpy as np
import pytest
from keras import ops

from kerasvit.conversion import convert
from kerasvit.conversion.architecture.detected import detect
from kerasvit.conversion.architecture.fitting import fitting_variants
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.conversion.proof.parity import FEATURE_TOLERANCE, SCORE_TOLERANCE, compare
from kerasvit.conversion.proof.timm.model import TimmReference

# Two of full depth: test_every_architecture.py has every architecture, at a small size.
NAMES = ["cait_xxs24_224", "vit_small_patch14_reg4_dinov2"]


def _check(timm, model, state, image_shape, batch_size):
    images = np.random.default_rng(1).normal(size=(batch_size, *image_shape, 3)).astype("float32")
    reference = TimmReference(timm, model, open_checkpoint(state), image_shape)
    parity = compare(model, reference.run(images), images)
    assert parity.argmax_equal
    assert max(parity.logits, parity.features) <= FEATURE_TOLERANCE, parity.summary
    assert parity.largest_score_difference <= SCORE_TOLERANCE, parity.summary
    blocks = model.num_layers + getattr(model, "num_class_layers", 0)
    assert len(parity.scores) == blocks
    return parity


@pytest.mark.parametrize("name", NAMES)
def test_model_agrees_with_timm(timm, random_state, name):
    state = random_state(name)
    model = convert(state, model=name, verify=False).model
    patch = model.patch_size[0]
    rows, columns = (160, 224) if patch != 14 else (154, 224)
    _check(timm, model, state, (224, 224), batch_size=1)
    _check(timm, model, state, (rows, columns), batch_size=3)
    assert name in fitting_variants(detect(open_checkpoint(state)))


@pytest.fixture(scope="module")
def cait(random_state):
    """A randomised CaiT and the state dict that it came from."""
    state = random_state("cait_xxs24_224")
    return convert(state, model="cait_xxs24_224", verify=False).model, state


@pytest.mark.parametrize(
    ("image_shape", "batch_size"), [((32, 32), 1), ((32, 80), 2), ((80, 32), 8)]
)
def test_grid_and_batch_do_not_matter(timm, cait, image_shape, batch_size):
    _check(timm, *cait, image_shape, batch_size)


def test_scores_before_mixing_are_the_softmax_before_timms_second_projection(timm, cait):
    model, state = cait
    images = np.random.default_rng(1).normal(size=(2, 32, 48, 3)).astype("float32")
    reference = TimmReference(timm, model, open_checkpoint(state), (32, 48))
    caught = {}

    def catch(module, inputs):
        caught["softmax"] = inputs[0].permute(0, 3, 1, 2).numpy()

    reference.module.blocks[7].attn.proj_w.register_forward_pre_hook(catch)
    reference.run(images)
    view = model.with_attention("full", blocks=[7], scores_before_mixing=True)
    scores = ops.convert_to_numpy(view(images)[1]["sa_ffn_block_07_att"])
    np.testing.assert_allclose(scores, caught["softmax"], atol=SCORE_TOLERANCE)
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)


def test_both_heads_of_a_distilled_model(timm, random_state):
    import torch

    name = "deit_tiny_distilled_patch16_224"
    state = random_state(name)
    model = convert(state, model=name, verify=False).model
    images = np.random.default_rng(1).normal(size=(2, 224, 224, 3)).astype("float32")
    module = timm.create_model(name).eval()
    module.load_state_dict(state)
    with torch.no_grad():
        tokens = module.forward_features(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
        expected = np.stack([module.head(tokens[:, 0]), module.head_dist(tokens[:, 1])], axis=1)
    both = model.with_attention("none", distillation_output="both")
    np.testing.assert_allclose(ops.convert_to_numpy(both(images)[0]), expected, atol=1e-4)


@pytest.mark.data
def test_real_dinov2_on_photographs(timm, data_dir):
    """Features and the last block's scores of four photographs equal timm's on the same tensor."""
    from kerasvit.images import Preprocessing, read

    weights = data_dir / "weights" / "dinov2_vits14_pretrain.pth"
    model = convert(weights, model="vit_small_patch14_dinov2", verify=False).model
    preprocessing = Preprocessing.from_dict(
        {**model.record["preprocessing"], "image_size": (280, 280)}
    )
    photographs = sorted((data_dir / "images").iterdir())[:4]
    images = np.stack([preprocessing.evaluate(read(path)).pixels for path in photographs])
    checkpoint = unwrap(open_checkpoint(weights))
    expected = TimmReference(timm, model, checkpoint, (280, 280)).run(images)
    parity = compare(model, expected, images)
    assert max(parity.logits, parity.features) <= FEATURE_TOLERANCE, parity.summary
    assert parity.scores["sa_ffn_block_11_att"] <= SCORE_TOLERANCE, parity.summary
    view = model.with_attention("cls", blocks=[-1])
    rows = ops.convert_to_numpy(view(images)[1]["sa_ffn_block_11_att"])
    np.testing.assert_allclose(
        rows, expected.scores["sa_ffn_block_11_att"][:, :, :1], atol=SCORE_TOLERANCE
    )
