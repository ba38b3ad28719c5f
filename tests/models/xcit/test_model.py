"""XCiT's own promises; what every family promises is in `tests/models`."""

import keras
import numpy as np
import pytest

from kerasvit import create_model
from kerasvit.errors import UsageError
from kerasvit.layers import CrossCovarianceAttention
from kerasvit.layers.fourier_positions import fourier_waves


def test_scores_are_among_channels_and_of_the_class_token(models, tools, images):
    _, channel_scores, class_scores = tools.run(models["XCiT"], images)
    assert list(channel_scores) == [f"xca_ffn_block_0{i}_att" for i in range(3)]
    assert {scores.shape for scores in channel_scores.values()} == {(2, 3, 4, 4)}
    assert {scores.shape for scores in class_scores.values()} == {(2, 3, 1, 7)}
    for scores in (*channel_scores.values(), *class_scores.values()):
        np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)


def test_cls_leaves_the_scores_among_channels_out(models, tools, images):
    logits, _, class_scores = tools.run(models["XCiT"], images)
    view = models["XCiT"].with_attention("cls")
    same_logits, channel_scores, same_scores = tools.run(view, images)
    assert channel_scores == {}
    tools.assert_close((same_logits, same_scores), (logits, class_scores))


@pytest.mark.backend
def test_attention_among_channels_is_its_formula():
    layer = CrossCovarianceAttention(2)
    tokens = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    layer.build(tokens.shape)
    layer.temperature.assign(np.array([0.5, 3.0]).reshape(2, 1, 1))
    outputs, scores = map(keras.ops.convert_to_numpy, layer(tokens))
    joint = keras.ops.convert_to_numpy(layer.qkv(tokens)).reshape(2, 5, 3, 2, 3)
    query, key, value = (joint[:, :, part] for part in range(3))
    query = query / np.linalg.norm(query, axis=1, keepdims=True)
    key = key / np.linalg.norm(key, axis=1, keepdims=True)
    products = np.einsum("bnhi,bnhj->bhij", query, key) * np.array([0.5, 3.0])[:, None, None]
    expected = np.exp(products) / np.exp(products).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    heads = np.einsum("bhij,bnhj->bnhi", expected, value).reshape(2, 5, 6)
    projected = keras.ops.convert_to_numpy(layer.projection(heads))
    np.testing.assert_allclose(outputs, projected, atol=1e-6)


def test_no_query_is_no_number():
    """A channel that is zero everywhere has no direction; its gradient is a number all the same."""
    layer = CrossCovarianceAttention(2, use_qkv_bias=False)
    tokens = np.zeros((1, 5, 6), "float32")
    layer.build(tokens.shape)
    outputs, scores = layer(tokens)
    assert np.isfinite(keras.ops.convert_to_numpy(outputs)).all()
    np.testing.assert_allclose(keras.ops.convert_to_numpy(scores), 1 / 3, atol=1e-6)


def test_positions_are_fractions_of_the_sides():
    waves = fourier_waves(3, 5, 32, 10000.0).reshape(3, 5, 64)
    rows, columns = waves[..., :32], waves[..., 32:]
    assert np.ptp(rows, axis=1).max() == np.ptp(columns, axis=0).max() == 0
    place = np.arange(1, 4) / 3 * 2 * np.pi
    np.testing.assert_allclose(rows[:, 0, 0], np.sin(place), atol=1e-5)
    np.testing.assert_allclose(rows[:, 0, 1], np.cos(place), atol=1e-5)
    np.testing.assert_allclose(rows[:, 0, 6], np.sin(place / 10000 ** (6 / 32)), atol=1e-5)


def test_layouts_of_the_stages(models):
    model = models["XCiT"]
    assert model.token_layout().prefix == ()
    assert model.token_layout(stage="ca").prefix == ("class",)
    channels = model.token_layout(stage="xca")
    assert (channels.axis, channels.num_channels) == ("channels", 4)
    for name in ("prefix", "grid", "patch_size", "num_tokens", "num_prefix"):
        with pytest.raises(UsageError, match="weighs channels, not tokens") as error:
            getattr(channels, name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch_size": 12}, "patches of 2, 4, 8, 16 or 32"),
        ({"patch_size": (8, 16)}, "squares"),
        ({"hidden_dim": 6, "patch_size": 8}, "multiple of 4"),
        ({"pooling": "max"}, "pooling must be one of"),
        ({"num_class_layers": 0}, "num_class_layers must be"),
    ],
)
def test_wrong_arguments_are_one_line(tools, arguments, message):
    with pytest.raises(UsageError, match=message) as error:
        tools.make("XCiT", image_shape=(48, 48, 3), **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.backend
def test_batch_norms_learn_in_training_alone(tools, images):
    """Moving statistics go towards those of the batch, in `fit`, on every backend."""
    model = tools.make("XCiT", num_layers=1, num_class_layers=1)
    norms = [*model.patch_embedding.norms, model.blocks[0].local.norm]
    before = [np.array(norm.moving_mean) for norm in norms]
    tools.run(model, images)
    assert all(
        np.array_equal(norm.moving_mean, old) for norm, old in zip(norms, before, strict=True)
    )
    first = model.patch_embedding.convolutions[0]
    seen = keras.ops.convert_to_numpy(first(images))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 0.0
    variance = np.array(norms[0].moving_variance)
    model.fit(images, np.array([0, 1]), batch_size=2, epochs=1, verbose=0)
    for norm, old in zip(norms, before, strict=True):
        assert np.abs(np.array(norm.moving_mean) - old).max() > 1e-4
    expected = 0.9 * before[0] + 0.1 * seen.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(norms[0].moving_mean, expected, atol=1e-5)
    expected = 0.9 * variance + 0.1 * seen.var(axis=(0, 1, 2))
    np.testing.assert_allclose(norms[0].moving_variance, expected, rtol=1e-4)


@pytest.mark.backend
def test_a_stateless_call_gives_the_statistics_back(tools, images):
    """JAX trains by such calls; the others allow them too."""
    model = tools.make("XCiT", num_layers=1, num_class_layers=1)
    norm = model.blocks[0].local.norm
    old = np.array(norm.moving_mean)
    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    _, changed = model.stateless_call(trainable, others, images, training=True)
    position = [v.path for v in model.non_trainable_variables].index(norm.moving_mean.path)
    assert np.abs(keras.ops.convert_to_numpy(changed[position]) - old).max() > 1e-4
    np.testing.assert_array_equal(norm.moving_mean, old)


@pytest.mark.backend
def test_training_normalises_by_the_batch(tools, images):
    """The fast form on PyTorch is Keras' own, in value and gradient."""
    from kerasvit.layers.primitives.norms import BatchNormalization

    ours, plain = BatchNormalization(epsilon=1e-5), keras.layers.BatchNormalization(epsilon=1e-5)
    for layer in (ours, plain):
        layer.build(images.shape)
        layer.gamma.assign([0.5, 2.0, -1.0])
        layer.beta.assign([0.1, -0.2, 0.3])
    for training in (True, False):
        ours_out, plain_out = ours(images, training=training), plain(images, training=training)
        np.testing.assert_allclose(
            *map(keras.ops.convert_to_numpy, (ours_out, plain_out)), atol=2e-6
        )
    np.testing.assert_allclose(ours.moving_variance, plain.moving_variance, rtol=1e-5)


def test_names_of_the_authors_are_known():
    model = create_model("dino_xcit_small_12_p16", num_layers=1, num_class_layers=1)
    assert model.num_classes == 0
    assert model.use_tokens_norm
    assert model.patch_size == (16, 16)
