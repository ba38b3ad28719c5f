import keras
import numpy as np
import pytest

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.training.run.rematerialisation import rematerialise

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
SIZES = {
    **{"image_shape": (8, 8, 3), "patch_size": 4, "num_classes": 3, "hidden_dim": 16},
    **{"num_layers": 2, "num_heads": 2, "mlp_dim": 16, "drop_path_rate": 0.5, "dropout_rate": 0.3},
}


def _trained(model):
    """Return the weights and random states after two steps that drop things at random."""
    model.compile(
        keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(8, 8, 8, 3)).astype("float32"), rng.integers(0, 3, 8)
    model.fit(images, labels, batch_size=4, shuffle=False, verbose=0)
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


@pytest.mark.skipif(BACKEND == "tensorflow", reason="it is refused there")
@pytest.mark.parametrize("model_type", [kerasvit.VisionTransformer, kerasvit.CaiT])
def test_steps_are_the_same_although_much_is_dropped(model_type):
    keras.utils.set_random_seed(3)
    plain, again = model_type(**SIZES, attention="none"), model_type(**SIZES, attention="none")
    for one, two in zip(again.variables, plain.variables, strict=True):
        one.assign(np.array(two))  # a buffer of its own: JAX gives those that it trains away
    rematerialise(again)
    # PyTorch drops by its global generator.
    runs = []
    for model in (plain, again):
        keras.utils.set_random_seed(4)
        runs.append(_trained(model))
    for one, two in zip(*runs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX says what it computes again")
def test_blocks_are_computed_again():
    import jax

    model = kerasvit.CaiT(**SIZES, attention="none")

    def loss(images):
        return model(images, training=True)[0].sum()

    images = np.zeros((1, 8, 8, 3), "float32")
    with keras.StatelessScope():
        before = str(jax.make_jaxpr(jax.grad(loss))(images))
    rematerialise(model)
    with keras.StatelessScope():
        after = str(jax.make_jaxpr(jax.grad(loss))(images))
    assert before.count("remat") + before.count("checkpoint") == 0
    assert after.count("remat") + after.count("checkpoint") >= len(model.all_blocks())


@pytest.mark.skipif(BACKEND != "tensorflow", reason="it works elsewhere")
def test_tensorflow_is_refused():
    with pytest.raises(UsageError, match="jax and torch"):
        rematerialise(kerasvit.CaiT(**SIZES))
