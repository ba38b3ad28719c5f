"""Models are lowered for processors that are not at hand, in three modes and with a gradient."""

import re

import families
import keras
import pytest

from kerasvit.layers.primitives.devices import compiling_for
from kerasvit.models import CaiT, VisionTransformer

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone lowers for others"),
]

CASES = {
    "CaiT": (CaiT, families.TINY),
    "ViT": (VisionTransformer, families.TINY),
    **{name: families.KINDS[name] for name in ("DINOv3", "BEiT", "XCiT")},
}


def _lowered(function, platform, *arguments):
    import jax

    with compiling_for(platform):
        exported = jax.export.export(jax.jit(function), platforms=[platform])(*arguments)
    assert exported.platforms == (platform,)
    return exported.mlir_module()


def _parts(model):
    import jax

    variables = (model.trainable_variables, model.non_trainable_variables)
    specs = [[jax.ShapeDtypeStruct(one.shape, one.dtype) for one in each] for each in variables]
    return [*specs, jax.ShapeDtypeStruct((2, *model.image_shape), "float32")]


def _make(name, attention):
    family, arguments = CASES[name]
    return family(**{**arguments, "attention": attention}, name="model")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("attention", ["full", "cls", "none"])
@pytest.mark.parametrize("name", CASES)
def test_a_forward_pass_is_lowered(name, attention, platform):
    model = _make(name, attention)
    text = _lowered(lambda *given: model.stateless_call(*given)[0], platform, *_parts(model))
    # Nothing that a processor of another kind would have to bring.
    assert not re.findall(r"custom_call @(?!Sharding)\w+", text)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", CASES)
def test_a_gradient_is_lowered(name, platform):
    import jax

    model = _make(name, "none")

    def loss(trainable, state, images):
        return model.stateless_call(trainable, state, images, training=True)[0][0].sum()

    text = _lowered(jax.grad(loss), platform, *_parts(model))
    assert not re.findall(r"custom_call @(?!Sharding)\w+", text)
