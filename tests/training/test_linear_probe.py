import sys

import numpy as np
import pytest
import scipy.optimize

from kerasvit.errors import InputError, UsageError
from kerasvit.training.linear_probe import PENALTIES, fit_linear_probe, top_k_accuracy


def _data(count=300, classes=3, width=6, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, width))
    labels = np.arange(count) % classes
    features = centres[labels] + spread * random.normal(size=(count, width))
    return features * np.linspace(0.01, 100, width) + 5, labels


def _objective(features, labels, penalty):
    """Return the documented objective as a function of kernel and bias for scaled features."""
    scaled = (features - features.mean(0)) / features.std(0)

    def value(vector):
        parameters = vector.reshape(features.shape[1] + 1, -1)
        logits = scaled @ parameters[:-1] + parameters[-1]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
        return loss + penalty / 2 * (parameters[:-1] ** 2).sum()

    return value


def test_the_probe_is_the_optimum_without_our_gradient():
    features, labels = _data()
    probe = fit_linear_probe(features, labels, 3, penalty=0.01)
    value = _objective(features, labels, 0.01)
    best = scipy.optimize.minimize(value, np.zeros(7 * 3), options={"gtol": 1e-7}).x.reshape(7, 3)
    scaled = (features - features.mean(0)) / features.std(0)
    # A constant added to all classes changes nothing.
    expected = scaled @ best[:-1] + best[-1]
    found = probe.logits(features)
    centred = [logits - logits.mean(1, keepdims=True) for logits in (found, expected)]
    np.testing.assert_allclose(*centred, atol=1e-3)


def test_the_scale_of_features_does_not_matter():
    features, labels = _data()
    plain = fit_linear_probe(features, labels, 3, penalty=0.01)
    scaled = fit_linear_probe(features * 1000 - 3, labels, 3, penalty=0.01)
    expected = plain.logits(features)
    np.testing.assert_allclose(scaled.logits(features * 1000 - 3), expected, atol=1e-4)


def test_the_penalty_is_chosen_and_generalises():
    features, labels = _data(count=60, width=50, spread=2.0)
    unseen, truth = _data(count=3000, width=50, spread=2.0, seed=1)
    chosen = fit_linear_probe(features, labels, 3)
    assert chosen.penalty in PENALTIES
    weakest = fit_linear_probe(features, labels, 3, penalty=PENALTIES[-1])
    accuracy = top_k_accuracy(chosen.logits(unseen), truth)
    assert accuracy >= top_k_accuracy(weakest.logits(unseen), truth) - 0.02
    assert accuracy > 0.8


def test_a_constant_feature_and_few_pictures_are_no_trouble():
    features, labels = _data(count=6)
    features[:, 0] = 4.0
    probe = fit_linear_probe(features, labels, 3)
    assert np.isfinite(probe.kernel).all()
    assert top_k_accuracy(probe.logits(features), labels) == 1.0


def test_top_k_counts_the_first_of_equal_scores():
    scores = np.array([[1.0, 2.0, 2.0], [3.0, 2.0, 1.0]])
    assert top_k_accuracy(scores, [1, 2]) == 0.5
    assert top_k_accuracy(scores, [2, 2]) == 0.0
    assert top_k_accuracy(scores, [2, 1], k=2) == 1.0
    assert top_k_accuracy(scores, [0, 2], k=5) == 1.0


def test_what_does_not_fit_is_refused():
    features, labels = _data()
    with pytest.raises(InputError, match="must be finite"):
        fit_linear_probe(np.where(features > 5, np.nan, features), labels, 3)
    with pytest.raises(InputError, match="one label for each"):
        fit_linear_probe(features, labels[:-1], 3)
    with pytest.raises(InputError, match="Labels lie in"):
        fit_linear_probe(features, labels, 2)
    with pytest.raises(UsageError, match="penalty is above 0"):
        fit_linear_probe(features, labels, 3, penalty=0.0)
    with pytest.raises(UsageError, match="at least 2 classes"):
        fit_linear_probe(features, np.zeros(300, int), 1)


def test_without_scipy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(UsageError, match=r"kerasvit\[train\]"):
        fit_linear_probe(*_data(), 3, penalty=0.01)
