"""LayerScale, and stochastic depth: what is dropped, how often, and by whose random numbers."""

import keras
import numpy as np
import pytest

from kerasvit.layers import LayerScale, StochasticDepth

SHAPE = (400, 3, 2)


def _kept(tools, layer, tokens=None, training=True):
    """Which samples of a batch of ones are kept."""
    tokens = np.ones(SHAPE, np.float32) if tokens is None else tokens
    return tools.to_numpy(layer(tokens, training=training))[:, 0, 0] != 0


@pytest.mark.backend
def test_layer_scale_starts_from_its_value_and_multiplies_channels(tools):
    layer = LayerScale(1e-5)
    layer.build((2, 3, 4))
    np.testing.assert_array_equal(tools.to_numpy(layer.gamma), np.full(4, 1e-5, np.float32))
    tools.randomise(layer)
    tokens = tools.random_tokens(2, 3, 4)
    expected = tokens * tools.to_numpy(layer.gamma)
    np.testing.assert_allclose(tools.to_numpy(layer(tokens)), expected, rtol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_of_dropped_samples_is_the_rate(tools, rate):
    layer = StochasticDepth(rate, seed=1)
    rounds = 10
    dropped = sum((~_kept(tools, layer)).sum() for _ in range(rounds))
    count = rounds * SHAPE[0]
    assert abs(dropped - count * rate) < 3 * np.sqrt(count * rate * (1 - rate))


@pytest.mark.backend
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_whole_samples_are_dropped_and_the_others_rescaled(tools, rate):
    tokens = tools.random_tokens(*SHAPE)
    outputs = tools.to_numpy(StochasticDepth(rate, seed=1)(tokens, training=True))
    dropped = (outputs == 0).all(axis=(1, 2))
    assert 0 < dropped.sum() < len(tokens)
    np.testing.assert_allclose(outputs[~dropped], tokens[~dropped] / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.5, None), (0.0, True)])
def test_it_is_the_identity_without_training_or_rate(tools, rate, training):
    tokens = tools.random_tokens(*SHAPE)
    outputs = StochasticDepth(rate)(tokens, training=training)
    np.testing.assert_array_equal(tools.to_numpy(outputs), tokens)


@pytest.mark.backend
def test_successive_steps_drop_other_samples(tools):
    layer = StochasticDepth(0.5, seed=1)
    masks = {tuple(_kept(tools, layer)) for _ in range(4)}
    assert len(masks) == 4


@pytest.mark.backend
def test_the_same_seed_drops_the_same_samples_and_another_seed_others(tools):
    first, second, other = (StochasticDepth(0.5, seed=seed) for seed in (1, 1, 2))
    for _ in range(2):
        mask = _kept(tools, first)
        np.testing.assert_array_equal(_kept(tools, second), mask)
        assert (_kept(tools, other) != mask).any()


@pytest.mark.backend
def test_two_layers_without_a_seed_are_independent(tools):
    assert (_kept(tools, StochasticDepth(0.5)) != _kept(tools, StochasticDepth(0.5))).any()


@pytest.mark.backend
def test_a_batch_of_one_is_kept_or_dropped_as_a_whole(tools):
    layer = StochasticDepth(0.5, seed=1)
    tokens = np.ones((1, 3, 2), np.float32)
    values = {
        float(v) for _ in range(12) for v in tools.to_numpy(layer(tokens, training=True)).flat
    }
    assert values == {0.0, 2.0}


class _KeptSamples(keras.callbacks.Callback):
    """The number of samples that each training step kept, read from its loss."""

    def on_train_begin(self, logs=None):
        self.counts = []

    def on_train_batch_end(self, batch, logs=None):
        self.counts.append(logs["kept"] * 16)
        self.model.reset_metrics()


def _kept_share(_, outputs):
    return keras.ops.mean(keras.ops.cast(outputs > 0, "float32"))


@pytest.mark.backend
def test_masks_are_drawn_at_each_step_of_a_compiled_fit():
    """Traced once with an unknown batch size, the steps must not repeat the first one's mask."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, kernel_initializer="ones", trainable=True)(inputs)
    model = keras.Model(inputs, StochasticDepth(0.5, seed=1)(outputs))
    metric = keras.metrics.MeanMetricWrapper(_kept_share, name="kept")
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[metric])
    kept = _KeptSamples()
    ones = np.ones((16 * 12, 1), np.float32)
    model.fit(ones, ones, batch_size=16, epochs=1, verbose=0, shuffle=False, callbacks=[kept])
    counts = np.array(kept.counts)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
    assert len(set(np.round(counts))) > 2
    assert abs(counts.sum() - 16 * 12 / 2) < 3 * np.sqrt(16 * 12 / 4)


@pytest.mark.parametrize("rate", [1.0, -0.1, 1.5])
def test_a_rate_outside_its_range_is_named_in_one_line(rate):
    with pytest.raises(
        ValueError, match=rf"rate must lie in \[0, 1\)\. Received: rate={rate}"
    ) as error:
        StochasticDepth(rate)
    assert "\n" not in str(error.value)
