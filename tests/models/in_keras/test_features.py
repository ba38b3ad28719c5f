"""Tokens that blocks put out: timm's `get_intermediate_layers`, which is DINO's."""

import numpy as np
import pytest

from kerasvit.errors import UsageError


@pytest.mark.backend
@pytest.mark.parametrize("family", ["ViT", "distilled", "CaiT"])
def test_the_last_block_gives_what_the_head_reads(tools, models, images, family):
    model = models[family]
    (tokens,) = _arrays(model.features(images, blocks=[-1]))
    layout = model.token_layout()
    assert tokens.shape == (2, layout.num_tokens, 12)
    if family == "ViT":
        np.testing.assert_allclose(tokens[:, 0], _arrays([model.features(images)])[0], atol=1e-5)


@pytest.mark.parametrize("registers", [0, 2])
@pytest.mark.parametrize("normalised", [True, False])
def test_tokens_are_those_of_timm(timm, images, normalised, registers):
    torch = pytest.importorskip("torch")
    from kerasvit.conversion import convert

    network = timm.models.vision_transformer.VisionTransformer(
        img_size=(16, 24),
        patch_size=8,
        embed_dim=12,
        depth=3,
        num_heads=3,
        num_classes=0,
        reg_tokens=registers,
    ).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(np.random.default_rng(7).normal(size=parameter.shape)))
    model = convert(network, verify=False, mean=[0.5] * 3, std=[0.5] * 3).model
    with torch.no_grad():
        expected = network.get_intermediate_layers(
            torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),
            n=[1, 2],
            return_prefix_tokens=True,
            norm=normalised,
        )
    found = _arrays(model.features(images, blocks=[1, -1], normalised=normalised))
    for tokens, (patches, prefix) in zip(found, expected, strict=True):
        theirs = np.concatenate([prefix.numpy(), patches.numpy()], axis=1)
        assert np.abs(tokens - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_blocks_come_as_they_are_asked_for_and_others_are_refused(models, images):
    model = models["CaiT"]
    last, first = _arrays(model.features(images, blocks=[2, 0], normalised=False))
    again = _arrays(model.features(images, blocks=(-3, -1), normalised=False))
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(last, again[1])
    with pytest.raises(UsageError, match="blocks must be a list of block numbers from -3 to 2"):
        model.features(images, blocks=[3])


def test_a_norm_of_the_pooled_feature_is_not_one_of_tokens(tools, images):
    model = tools.make("ViT", pooling="average")
    pair = [_arrays(model.features(images, blocks=[0], normalised=on))[0] for on in (True, False)]
    np.testing.assert_array_equal(*pair)


def _arrays(tensors):
    import keras

    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]
