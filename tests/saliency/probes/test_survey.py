import numpy as np
import pytest

from kerasvit.errors import InputError
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.methods.attention import block_scores
from kerasvit.saliency.probes.attention import attention_distance, attention_entropy
from kerasvit.saliency.probes.survey import compare_layers, survey_attention, survey_features


@pytest.mark.parametrize("name", ["vit", "cait"])
def test_block_scores_are_the_models_probabilities(real, name):
    model = getattr(real, name)()
    scores, layouts = block_scores(model.with_attention("none"), real.pixels[0])
    before = {"scores_before_mixing": True} if name == "cait" else {}
    _, sa_scores, ca_scores = model.with_attention("full", **before)(real.pixels[:1])
    assert list(scores) == [*sa_scores, *ca_scores]
    for key, expected in {**sa_scores, **ca_scores}.items():
        np.testing.assert_allclose(scores[key], to_numpy(expected)[0], atol=1e-6)
        np.testing.assert_allclose(scores[key].sum(axis=-1), 1, atol=1e-5)
        layouts[key].check(scores[key].shape[-1])


def test_scores_that_would_fill_the_memory_are_refused(fakes):
    model = fakes.Model(num_layers=12, num_heads=12, patch=4)
    with pytest.raises(InputError, match=r"--resize"):
        block_scores(model, np.zeros((4 * 100, 4 * 100, 3), np.float32))
    assert not model.log


def test_the_survey_is_the_mean_over_the_pictures(real):
    model = real.cait()
    found = survey_attention(model, iter(real.pixels))
    distances, entropies = [], []
    for pixels in real.pixels:
        scores, layouts = block_scores(model, pixels)
        far, wide = "sa_ffn_block_01_att", "ca_ffn_block_00_att"
        distances.append(attention_distance(scores[far][None], layouts[far])[0])
        entropies.append(attention_entropy(scores[wide][None], layouts[wide])[0])
    np.testing.assert_allclose(found["distance"][far], np.mean(distances, axis=0))
    np.testing.assert_allclose(found["entropy"][wide], np.mean(entropies, axis=0))
    assert list(found["distance"]) == ["sa_ffn_block_00_att", "sa_ffn_block_01_att"]
    with pytest.raises(InputError, match="none"):
        survey_attention(model, [])


def test_layers_are_compared_on_the_same_pictures(real):
    pictures = np.random.default_rng(0).normal(size=(8, 12, 20, 3)).astype(np.float32)
    features = survey_features(real.vit(), iter(pictures))
    assert {name: rows.shape for name, rows in features.items()} == {
        "sa_ffn_block_00": (8, 12),
        "sa_ffn_block_01": (8, 12),
    }
    other = survey_features(real.cait(), iter(pictures))
    own, across = compare_layers(features, features), compare_layers(features, other)
    np.testing.assert_allclose(np.diag(own), 1)
    np.testing.assert_allclose(own, own.T)
    assert ((across >= 0) & (across < 1)).all()
    np.testing.assert_allclose(across, compare_layers(other, features).T)
    few = {name: rows[:7] for name, rows in features.items()}
    with pytest.raises(InputError, match="at least 8"):
        compare_layers(few, few)
