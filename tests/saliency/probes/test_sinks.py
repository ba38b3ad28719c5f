"""Sinks: tokens that all attend to, and patches of unusual length."""

import dataclasses

import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.layout import TokenLayout
from kerasvit.saliency import attention_received, norm_outliers, prefix_share, sink_ratio
from kerasvit.saliency.methods.attention import block_scores
from kerasvit.saliency.probes.survey import survey_sinks

LAYOUT = TokenLayout(("class", "register_0"), (2, 3), (4, 4))


def softmax(shape, seed=0):
    powers = np.exp(np.random.default_rng(seed).normal(0, 2, shape))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_planted_sink_is_found_with_its_ratio():
    # Every token gives half of its attention to token 5, and the rest to all others alike.
    scores = np.full((2, 3, 8, 8), 0.5 / 7)
    scores[..., 5] = 0.5
    ratio, token = sink_ratio(scores, LAYOUT)
    np.testing.assert_allclose(ratio, 7)
    np.testing.assert_array_equal(token, 5)
    np.testing.assert_allclose(prefix_share(scores, LAYOUT), 2 * 0.5 / 7)


def test_the_measures_are_their_formulas():
    scores = softmax((2, 3, 8, 8))
    received = np.einsum("bhij->bj", scores) / 3
    np.testing.assert_allclose(attention_received(scores, LAYOUT), received)
    np.testing.assert_allclose(received.sum(axis=1), 8)
    ratio, token = sink_ratio(scores, LAYOUT)
    np.testing.assert_allclose(ratio, received.max(1) / np.median(received, axis=1))
    assert (received[[0, 1], token] == received.max(axis=1)).all()
    share = prefix_share(scores, LAYOUT)
    np.testing.assert_allclose(share[1, 2], scores[1, 2, :, :2].sum() / 8)
    rows = scores[:, :, :1]  # Class attention has one row.
    np.testing.assert_allclose(attention_received(rows, LAYOUT), rows[:, :, 0].mean(axis=1))


def test_a_planted_long_patch_is_found_and_prefix_tokens_do_not_count():
    tokens = np.random.default_rng(1).normal(size=(2, 8, 5))
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    tokens[0, 4] *= 12
    tokens[1, 0] *= 50
    np.testing.assert_allclose(norm_outliers(tokens, LAYOUT), [12, 1])
    with pytest.raises(InputError, match="length"):
        norm_outliers(np.zeros((1, 8, 5)), LAYOUT)
    with pytest.raises(InputError, match="probabilities"):
        sink_ratio(softmax((1, 2, 8, 8)) - 1, LAYOUT)


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_the_survey_keeps_every_picture(real, name):
    model = getattr(real, name)()
    found = survey_sinks(model, iter(real.pixels))
    scores, layouts = block_scores(model, real.pixels[1])
    assert list(found["sink_ratio"]) == list(scores)
    for key, rows in scores.items():
        ratio, token = sink_ratio(rows[None], layouts[key])
        assert found["sink_ratio"][key][1] == pytest.approx(ratio[0])
        assert found["sink_token"][key][1] == token[0]
        share = prefix_share(rows[None], layouts[key])
        np.testing.assert_allclose(found["prefix_share"][key][1], share[0])
    assert {len(values) for values in found["norm_outliers"].values()} == {len(real.pixels)}
    with pytest.raises(InputError, match="none"):
        survey_sinks(model, [])


# Measured with timm's network and NumPy on photographs of 224x224 pixels; see the survey of the
# field, 29 November 2026: medians over 12 pictures, heads averaged.
CONTROL = (189, 20, 38, 45, 27, 25, 16, 41, 28, 19, 35, 4.3)


@pytest.mark.data
def test_the_sinks_of_dinov2_are_those_that_were_measured(data_dir, tmp_path):
    import kerasvit
    from kerasvit.conversion import convert
    from kerasvit.images import read
    from kerasvit.images.records import recorded_preprocessing

    weights = data_dir / "weights" / "dinov2_vits14_pretrain.pth"
    convert(weights, tmp_path / "x.keras", model="vit_small_patch14_dinov2", verify=False)
    model = kerasvit.from_pretrained(tmp_path / "x.keras", attention="none")
    preprocessing = dataclasses.replace(
        recorded_preprocessing(model.record, "x"),
        image_size=(224, 224), crop_fraction=1.0, crop_mode="squash",
    )  # fmt: skip
    paths = sorted((data_dir / "images").iterdir())[:12]
    found = survey_sinks(model, (preprocessing.evaluate(read(path)).pixels for path in paths))
    medians = [np.median(ratios) for ratios in found["sink_ratio"].values()]
    # Which twelve were taken is not on record; with these the farthest is 17 % off.
    np.testing.assert_allclose(medians, CONTROL, rtol=0.2)
    class_token = [np.mean(tokens == 0) for tokens in found["sink_token"].values()]
    assert min(class_token[:11]) >= 0.83
    assert class_token[11] == pytest.approx(0.33, abs=0.09)
    lengths = list(found["norm_outliers"].values())
    # No token of the kind that registers cure, which are many times as long.
    assert max(lengths[-1]) <= 1.48
    assert np.max(lengths) < 3
