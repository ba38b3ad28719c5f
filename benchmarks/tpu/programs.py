"""The programs that are compiled: a forward pass and a gradient, of kerasvit and of plain JAX."""

import dataclasses
from typing import Any

from benchmarks.tpu.costs import Cost, cost


@dataclasses.dataclass(frozen=True)
class Work:
    """What a program computes.

    Args:
        model: name of the architecture.
        attention: "full", "cls" or "none".
        batch: number of images, over all chips.
        gradient: whether it is the gradient of a training step instead of a forward pass.
        num_layers: of the model; None for all. Fewer compile faster.
    """

    model: str
    attention: str = "none"
    batch: int = 8
    gradient: bool = False
    num_layers: int | None = None


def kerasvit_cost(work: Work, mesh: Any) -> Cost:
    """Compile a kerasvit model in mixed precision, its weights split by the shipped layout."""
    model = _make_model(work)
    variables = tuple(
        [_spec(mesh, variable.shape, variable.dtype, _axes(variable, mesh)) for variable in each]
        for each in (model.trainable_variables, model.non_trainable_variables)
    )

    def outputs(trainable, state, images, training=False):
        return model.stateless_call(trainable, state, images, training=training)[0]

    def loss(trainable, state, images, classes):
        values = outputs(trainable, state, images, training=True)
        return _loss(values[0] if isinstance(values, tuple) else values, classes)

    return _compile(work, mesh, variables, outputs, loss, model.image_shape)


def plain_cost(work: Work, mesh: Any) -> Cost:
    """Compile a ViT in plain JAX of the same shape, without scores, on one chip.

    Raises:
        ValueError: if the architecture is not a plain ViT.
    """
    from benchmarks.tpu import plain

    model = _make_model(work)
    if model.family != "vit" or model.patch_size[0] != model.patch_size[1]:
        raise ValueError(f"plain JAX has the plain ViT alone. Received: {work.model}")
    grid = model.patch_embedding.grid(*model.image_shape[:2])
    weights = plain.specs(
        lambda shape: _spec(mesh, shape),
        hidden_dim=model.hidden_dim,
        mlp_dim=model.mlp_dim,
        num_layers=model.num_layers,
        num_tokens=1 + grid[0] * grid[1],
        patch_size=model.patch_size[0],
        num_classes=model.num_classes,
    )

    def logits(weights, images):
        return plain.logits(weights, images, model.num_heads)

    def loss(weights, images, classes):
        return _loss(logits(weights, images), classes)

    return _compile(work, mesh, (weights,), logits, loss, model.image_shape)


def _make_model(work):
    import keras

    import kerasvit

    layers = {} if work.num_layers is None else {"num_layers": work.num_layers}
    return kerasvit.create_model(
        work.model,
        attention=work.attention,
        dtype=keras.DTypePolicy("mixed_bfloat16"),
        **layers,
    )


def _compile(work, mesh, weights, outputs, loss, image_shape):
    import jax

    from kerasvit.layers.primitives.devices import compiling_for

    images = _spec(mesh, (work.batch, *image_shape), axes=("batch",))
    with compiling_for("tpu"):
        if not work.gradient:
            return cost(outputs, *weights, images)
        classes = _spec(mesh, (work.batch,), "int32", ("batch",))
        return cost(jax.grad(loss), *weights, images, classes)


def _loss(logits, classes):
    import jax
    import jax.numpy as jnp

    wide = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.mean(jnp.take_along_axis(wide, classes[:, None], axis=1))


def _axes(variable, mesh) -> tuple[str | None, ...]:
    """Return over which axes of the mesh the shipped layout splits a weight."""
    import keras

    from kerasvit.training.distribution import layout_map

    names = [f"tpu:{index}" for index in range(mesh.devices.size)]
    layouts = layout_map(keras.distribution.DeviceMesh(mesh.devices.shape, mesh.axis_names, names))
    layout = layouts[variable.path]
    return () if layout is None else tuple(layout.axes)


def _spec(mesh, shape, dtype="float32", axes=()):
    import jax

    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
    return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=sharding)
