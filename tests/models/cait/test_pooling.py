"""What CaiT's head reads: the class token, the mean patch, or every token, as in timm."""

import keras
import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.models import CaiT, create_model

TIMM_POOLINGS = {"class": "token", "average": "avg", "none": ""}
every_pooling = pytest.mark.parametrize("pooling", TIMM_POOLINGS)


@pytest.mark.backend
@pytest.mark.parametrize("num_classes", [5, 0])
@every_pooling
def test_logits_and_features_are_timms(tools, timm, pooling, num_classes):
    import torch

    from kerasvit.conversion.files.checkpoint import open_checkpoint
    from kerasvit.conversion.names.layouts import TIMM_CAIT
    from kerasvit.conversion.names.rules import assign

    model = tools.make("CaiT", pooling=pooling, num_classes=num_classes)
    theirs = timm.models.cait.Cait(
        img_size=(16, 24),
        patch_size=8,
        num_classes=num_classes,
        global_pool=TIMM_POOLINGS[pooling],
        embed_dim=12,
        depth=3,
        num_heads=3,
        mlp_ratio=(20 + 0.5) / 12,
        depth_token_only=2,
        mlp_ratio_token_only=(20 + 0.5) / 12,
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    assign(model, open_checkpoint(theirs.state_dict()), TIMM_CAIT)

    images = tools.random_images()
    with torch.no_grad():
        tokens = theirs.forward_features(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
        feature = theirs.forward_head(tokens, pre_logits=True).numpy()
        logits = theirs.forward_head(tokens).numpy()
    as_array = keras.ops.convert_to_numpy
    tools.assert_close(tools.run(model, images)[0], logits, 1e-4)
    tools.assert_close(as_array(model.features(images)), feature, 1e-4)
    tools.assert_close(as_array(model.forward_features(images)), tokens.numpy(), 1e-4)


@every_pooling
def test_scores_are_the_same_whatever_is_read(tools, models, images, pooling):
    _, *expected = tools.run(models["CaiT"], images)
    _, *scores = tools.run(tools.make("CaiT", pooling=pooling), images)
    tools.assert_close(scores, expected)


@every_pooling
def test_shapes_of_what_a_model_gives(tools, images, pooling):
    for num_classes, width in ((5, 5), (0, 12)):
        model = tools.make("CaiT", pooling=pooling, num_classes=num_classes)
        shape = (2, 7, width) if pooling == "none" else (2, width)
        assert tools.run(model, images)[0].shape == shape
        assert model.classifier().output.shape == (None, *shape[1:])


def test_timms_word_for_the_mean_is_taken_too():
    sizes = {"num_layers": 1, "num_class_layers": 1}
    model = create_model("cait_nano_patch4_32", pooling="avg", **sizes)
    assert model.pooling == "average"
    assert CaiT.from_config(model.get_config()).pooling == "average"
    assert create_model("vit_nano_patch4_32", pooling="avg", num_layers=1).pooling == "average"


def test_another_pooling_is_refused():
    with pytest.raises(UsageError, match="pooling must be one of"):
        create_model("cait_nano_patch4_32", pooling="max")


# The mean patch is read out before class attention, which learns nothing then, as in timm.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.backend
def test_the_mean_patch_can_be_trained(tools):
    images, labels = tools.random_images(4), np.array([0, 1, 2, 3])
    model = tools.make("CaiT", pooling="average")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.blocks[0].get_weights()
    losses = model.fit(images, labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(before[0], model.blocks[0].get_weights()[0])
