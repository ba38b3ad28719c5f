"""The same weights under another dtype policy."""

import keras
import numpy as np
import pytest
from keras import ops

import kerasvit
from kerasvit.errors import UsageError
from kerasvit.look.models import load_model
from kerasvit.models.opening.precision import PRECISIONS, in_policy, policy_of

SIZES = {"image_shape": (12, 8, 3), "num_classes": 3, "hidden_dim": 16}
SIZES |= {"num_layers": 2, "num_heads": 2, "mlp_dim": 24}
MODELS = {
    "vit": lambda **more: kerasvit.VisionTransformer(patch_size=4, **SIZES, **more),
    "rotary": lambda **more: kerasvit.VisionTransformer(
        patch_size=4, rope_type="dinov3", position_embedding="none", **SIZES, **more
    ),
    "beit": lambda **more: kerasvit.VisionTransformer(
        patch_size=4, use_relative_position_bias=True, **SIZES, **more
    ),
    "cait": lambda **more: kerasvit.CaiT(patch_size=4, num_class_layers=1, **SIZES, **more),
    "xcit": lambda **more: kerasvit.XCiT(
        **{**SIZES, "image_shape": (32, 16, 3)}, patch_size=8, num_class_layers=1, **more
    ),
}


def _randomised(model):
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(np.abs(random.normal(0.1, 0.3, variable.shape)).astype("float32"))
    return model


@pytest.mark.backend
@pytest.mark.parametrize("kind", MODELS)
def test_it_computes_as_a_model_that_was_made_so(kind):
    model = _randomised(MODELS[kind]())
    made = MODELS[kind](dtype="mixed_bfloat16")
    made.set_weights(model.get_weights())
    images = np.random.default_rng(1).random((2, *model.image_shape), "float32")
    logits, *scores = in_policy(model, "mixed_bfloat16")(images)
    expected, *others = made(images)
    assert keras.backend.standardize_dtype(logits.dtype) == "bfloat16"
    flat = [*keras.tree.flatten(scores), logits]
    for own, other in zip(flat, [*keras.tree.flatten(others), expected], strict=True):
        own, other = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (own, other))
        np.testing.assert_array_equal(own, other)


@pytest.mark.backend
def test_weights_stay_in_float32_and_the_model_it_came_from_stays_as_it_was(tmp_path):
    model = _randomised(MODELS["vit"]())
    model.get_layer("head").trainable = False
    lower = in_policy(model, "mixed_bfloat16")
    assert {keras.backend.standardize_dtype(v.dtype) for v in lower.weights} == {"float32"}
    assert (lower.name, lower.get_layer("head").trainable) == (model.name, False)
    assert model.dtype_policy.name == "float32"
    assert in_policy(model, "float32") is model
    lower.save(tmp_path / "lower.keras")
    again = kerasvit.from_pretrained(tmp_path / "lower.keras", dtype="float32")
    assert again.dtype_policy.name == "float32"
    for own, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_every_source_takes_a_dtype(tmp_path):
    shipped = kerasvit.from_pretrained(dtype="mixed_float16", attention="cls")
    assert (shipped.dtype_policy.name, shipped.attention) == ("mixed_float16", "cls")
    for precision, policy in PRECISIONS.items():
        assert load_model(precision=precision).model.dtype_policy.name == policy
    loaded = load_model(load_model(), precision="bfloat16")
    assert loaded.facts()["dtype"] == "mixed_bfloat16"
    assert "dtype" not in load_model().facts()


@pytest.mark.filterwarnings("ignore:Layer .* does not have a .quantize. method:UserWarning")
def test_what_has_no_other_precision_says_so():
    model = MODELS["vit"]()
    with pytest.raises(UsageError, match="A dtype is a policy of Keras"):
        in_policy(model, "brown")
    with pytest.raises(UsageError, match="A precision is one of float32, bfloat16, float16"):
        policy_of("mixed_bfloat16")
    with pytest.raises(UsageError, match="There is no such precision"):
        kerasvit.look.Settings(precision="half")
    model.quantize("int8")
    with pytest.raises(UsageError, match="quantized model keeps its precision"):
        in_policy(model, "mixed_bfloat16")
