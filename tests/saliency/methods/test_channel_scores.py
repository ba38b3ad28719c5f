"""XCiT: scores among channels never reach a method, probe or picture that works on tokens."""

import keras
import numpy as np
import pytest

from kerasvit import saliency
from kerasvit.app.choices import Choices
from kerasvit.errors import UsageError
from kerasvit.layout import BlockKey
from kerasvit.models import XCiT
from kerasvit.saliency import METHODS, explain
from kerasvit.saliency.methods.legrad import legrad
from kerasvit.saliency.methods.relevance import late_attention, relevance
from kerasvit.saliency.probes.survey import survey_attention, survey_sinks

# As many channels a head as there are patches: no shape gives the mistake away.
ARGUMENTS = {
    "image_shape": (8, 16, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 16,
    "num_layers": 2,
    "num_class_layers": 2,
    "num_heads": 2,
    "mlp_dim": 20,
}


def make(**arguments):
    model = XCiT(**{**ARGUMENTS, **arguments})
    generator = np.random.default_rng(0)
    for weight in model.weights:
        values = generator.normal(scale=0.4, size=weight.shape)
        weight.assign(0.5 + abs(values) if weight.path.endswith("variance") else values)
    return model


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).normal(size=(2, 8, 16, 3)).astype("float32")


@pytest.fixture
def poisoned(monkeypatch):
    """Make every score among channels that a model returns no number."""
    from kerasvit.layers import CrossCovarianceBlock

    original = CrossCovarianceBlock.call

    def call(self, *args, **kwargs):
        tokens, scores = original(self, *args, **kwargs)
        return tokens, None if scores is None else scores * float("nan")

    monkeypatch.setattr(CrossCovarianceBlock, "call", call)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_them_aside(model, pixels, poisoned, method):
    result = explain(model, pixels, method)
    assert np.isfinite(result.values).all()
    assert result.values.shape == (2, 2, 4)
    stages = {BlockKey.parse(key).stage for key in result.layers}
    assert stages <= {"ca"} or method in ("tokencut", "lost")
    if method not in ("tokencut", "lost"):
        assert np.ptp(result.values, axis=(1, 2)).min() > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stage", ["sa", "xca"])
def test_no_method_takes_their_stage(model, pixels, method, stage):
    with pytest.raises(UsageError, match="weighs channels, not tokens") as error:
        explain(model, pixels, method, stage=stage)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_head_that_reads_patches_has_no_attention_to_follow(pixels, poisoned, method):
    """What needs attention refuses; gradients and hiding go on."""
    model = make(pooling="average")
    if "query" in METHODS[method].takes or method == "legrad":
        with pytest.raises(UsageError) as error:
            explain(model, pixels, method)
        assert "\n" not in str(error.value)
    else:
        assert np.isfinite(explain(model, pixels, method).values).all()


def test_functions_of_scores_refuse_their_keys(model, pixels):
    _, scores, class_scores = keras.tree.map_structure(keras.ops.convert_to_numpy, model(pixels))
    layout = model.token_layout()
    calls = [
        lambda: saliency.rollout(scores, layout, "patches"),
        lambda: saliency.rollout_matrix(scores, layout),
        lambda: saliency.class_attention_rollout(scores, class_scores, layout),
        lambda: relevance({**scores, **class_scores}, {**scores, **class_scores}, layout),
        lambda: late_attention(scores, layout, "patches"),
        lambda: legrad(scores, layout),
        lambda: saliency.block_keys(scores),
        lambda: saliency.select_block(scores, "last"),
    ]
    channels = model.token_layout(stage="xca")
    (first, *_) = scores.values()
    calls += [
        lambda: saliency.attention_maps(first, channels, "mean"),
        lambda: saliency.attention_distance(first, channels),
        lambda: saliency.attention_entropy(first, channels),
        lambda: saliency.sink_ratio(first, channels),
        lambda: saliency.prefix_share(first, channels),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="weighs channels, not tokens") as error:
            call()
        assert "\n" not in str(error.value)


def test_probes_and_viewer_leave_them_out(model, pixels, poisoned):
    scores, layouts = saliency.block_scores(model, pixels[0])
    assert list(scores) == list(layouts) == ["ca_ffn_block_00_att", "ca_ffn_block_01_att"]
    measured = survey_attention(model, pixels)
    assert set(measured["entropy"]) == set(scores)
    assert measured["distance"] == {}
    sinks = survey_sinks(model, pixels)
    assert set(sinks["sink_ratio"]) == set(scores)
    assert set(sinks["norm_outliers"]) == {"xca_ffn_block_00", "xca_ffn_block_01"}


def test_what_the_model_has_not_is_refused(model):
    for probe in (saliency.position_similarity, saliency.patch_filters):
        with pytest.raises(UsageError) as error:
            probe(model)
        assert "\n" not in str(error.value)


def test_the_page_offers_class_attention_alone(model):
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.look import LoadedModel

    preprocessing = Preprocessing((8, 16), mean=(0.5,) * 3, std=(0.5,) * 3)
    loaded = object.__new__(LoadedModel)
    for name, value in {"model": model, "preprocessing": preprocessing}.items():
        object.__setattr__(loaded, name, value)
    choices = Choices.of(loaded)
    assert choices.blocks == ("ca_ffn_block_00_att", "ca_ffn_block_01_att")
    assert choices.usual == 0
    assert [value for _, value in choices.queries] == ["class"]
    assert "class_attention_rollout" in choices.methods


def test_rollout_is_that_of_the_class_stage(model, pixels):
    _, _, class_scores = keras.tree.map_structure(keras.ops.convert_to_numpy, model(pixels))
    rows = saliency.explain(model, pixels, "rollout")
    assert rows.method == "class_attention_rollout"
    product = np.eye(9)[None]
    for key in sorted(class_scores):
        matrix = np.zeros((2, 9, 9)) + np.eye(9)
        matrix[:, 0] = class_scores[key].mean(axis=1)[:, 0]
        product = (np.eye(9) + matrix) / 2 @ product
    expected = product[:, 0, 1:].reshape(2, 2, 4)
    np.testing.assert_allclose(rows.values, expected, atol=1e-6)
