import numpy as np
import pytest

import kerasvit
from kerasvit.errors import InputError, UsageError
from kerasvit.training.data.features import preprocessing_of
from kerasvit.training.finetuning.heads import set_head, with_new_head
from kerasvit.training.linear_probe import LinearProbe

KINDS = {
    "vit": {},
    "distilled": {"use_distillation_token": True},
    "several blocks": {"head_blocks": 2, "head_patch_mean": True},
    "average": {"pooling": "average"},
    "cait": None,
}


@pytest.fixture
def make(tiny_arguments, preprocessing_record):
    """Function from a kind and changed arguments to a tiny model."""
    record = {
        "preprocessing": preprocessing_record(8, 8),
        "release": "tiny.test",
        "licence": "mit",
        "class_names": ["a", "b", "c"],
    }
    common = {**tiny_arguments, "num_classes": 3, "name": "tiny", "record": record}

    def model(kind="vit", **overrides):
        if kind == "cait":
            return kerasvit.CaiT(**{**common, "num_class_layers": 1, **overrides})
        return kerasvit.VisionTransformer(**{**common, **KINDS[kind], **overrides})

    return model


def images(count=4):
    return np.random.default_rng(0).normal(size=(count, 8, 8, 3)).astype("float32")


def logits_of(model):
    return np.asarray(model.predict_on_batch(images())[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_feature_is_what_the_head_reads(make, kind):
    model = make(kind)
    for weight in model.head.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    features = logits_of(model.headless())
    kernel, bias = model.head.get_weights()
    if kind == "distilled":
        assert features.shape == (4, 2, 16)
        other = model.distillation_head.get_weights()
        expected = (features[:, 0] @ kernel + bias + features[:, 1] @ other[0] + other[1]) / 2
    else:
        expected = features @ kernel + bias
    np.testing.assert_allclose(expected, logits_of(model), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_of_the_features_becomes_the_head(make, kind):
    model = make(kind)
    features = logits_of(model.headless()).reshape(4, -1)
    random = np.random.default_rng(2)
    probe = LinearProbe(random.normal(size=(features.shape[1], 3)), random.normal(size=3), 1.0)
    set_head(model, probe)
    np.testing.assert_allclose(logits_of(model), probe.logits(features), atol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["distilled", "cait"])
def test_a_new_head_is_zero_and_everything_else_is_copied(make, kind):
    model = make(kind)
    before = model.get_weights()
    new = with_new_head(model, ["x", "y", "z", "w"], drop_path_rate=0.1)
    assert new.num_classes == 4
    assert new.drop_path_rate == 0.1
    assert not logits_of(new).any()
    np.testing.assert_array_equal(logits_of(new.headless()), logits_of(model.headless()))
    new.patch_embedding.projection.kernel.assign(new.patch_embedding.projection.kernel + 1)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_the_record_tells_the_classes_and_the_base(make):
    new = with_new_head(make(), ["x", "y"], image_size=(16, 8))
    assert new.record["class_names"] == ["x", "y"]
    assert new.record["base"] == {"release": "tiny.test"}
    assert new.record["source"] == "fine-tuned from tiny.test"
    assert new.record["licence"] == "mit"
    assert "release" not in new.record
    assert preprocessing_of(new).image_size == (16, 8)


@pytest.mark.parametrize("names", [["x"], [], ["x", "x"]])
def test_classes_must_be_several_and_differ(make, names):
    with pytest.raises(InputError, match="two or more classes"):
        with_new_head(make(), names)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a .quantize. method:UserWarning")
def test_what_cannot_be_fine_tuned_is_refused(make):
    with pytest.raises(UsageError, match="must fill the image"):
        with_new_head(make(), ["x", "y"], image_size=(10, 8))
    bare = make(record={})
    with pytest.raises(UsageError, match="no preprocessing"):
        with_new_head(bare, ["x", "y"])
    quantized = make()
    quantized.quantize("int8")
    with pytest.raises(UsageError, match="quantized"):
        with_new_head(quantized, ["x", "y"])
