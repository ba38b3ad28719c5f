"""A ViT in plain JAX, without kerasvit and Keras: what a program of this size has to cost."""

import jax
import jax.numpy as jnp

COMPUTE = jnp.bfloat16


def specs(spec, hidden_dim, mlp_dim, num_layers, num_tokens, patch_size, num_classes) -> dict:
    """Return the shapes of the weights, each made by `spec(shape)`."""
    dense = lambda inputs, units: (spec((inputs, units)), spec((units,)))  # noqa: E731
    norm = (spec((hidden_dim,)), spec((hidden_dim,)))
    block = {
        "attention_norm": norm,
        "qkv": dense(hidden_dim, 3 * hidden_dim),
        "projection": dense(hidden_dim, hidden_dim),
        "mlp_norm": norm,
        "dense_1": dense(hidden_dim, mlp_dim),
        "dense_2": dense(mlp_dim, hidden_dim),
    }
    return {
        "patches": (spec((patch_size, patch_size, 3, hidden_dim)), spec((hidden_dim,))),
        "class_token": spec((1, 1, hidden_dim)),
        "position": spec((1, num_tokens, hidden_dim)),
        "blocks": [block] * num_layers,
        "norm": norm,
        "head": dense(hidden_dim, num_classes),
    }


def logits(weights: dict, images, num_heads: int):
    """Return the logits `(B, K)` in float32 of images `(B, height, width, 3)`."""
    tokens = _embed(weights, images)
    for block in weights["blocks"]:
        tokens = tokens + _attend(block, _norm(tokens, *block["attention_norm"]), num_heads)
        hidden = jax.nn.gelu(_dense(_norm(tokens, *block["mlp_norm"]), *block["dense_1"]), False)
        tokens = tokens + _dense(hidden, *block["dense_2"])
    feature = _norm(tokens, *weights["norm"])[:, 0]
    return _dense(feature, *weights["head"]).astype(jnp.float32)


def _embed(weights, images):
    kernel, bias = weights["patches"]
    size = kernel.shape[:2]
    patches = jax.lax.conv_general_dilated(
        images.astype(COMPUTE),
        kernel.astype(COMPUTE),
        size,
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ) + bias.astype(COMPUTE)
    batch, width = patches.shape[0], patches.shape[-1]
    first = jnp.broadcast_to(weights["class_token"].astype(COMPUTE), (batch, 1, width))
    tokens = jnp.concatenate([first, patches.reshape(batch, -1, width)], axis=1)
    return tokens + weights["position"].astype(COMPUTE)


def _attend(block, tokens, num_heads):
    batch, length, width = tokens.shape
    heads = _dense(tokens, *block["qkv"])
    heads = heads.reshape(batch, length, 3, num_heads, width // num_heads)
    outputs = jax.nn.dot_product_attention(heads[:, :, 0], heads[:, :, 1], heads[:, :, 2])
    return _dense(outputs.reshape(batch, length, width), *block["projection"])


def _dense(values, kernel, bias):
    return values @ kernel.astype(COMPUTE) + bias.astype(COMPUTE)


def _norm(values, gain, shift, epsilon=1e-6):
    wide = values.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    variance = wide.var(-1, keepdims=True)
    normed = (wide - mean) * jax.lax.rsqrt(variance + epsilon)
    return (normed * gain + shift).astype(COMPUTE)
