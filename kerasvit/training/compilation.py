"""Whether XLA compiles a training step: what is fast on the device at hand."""

import keras

AUTO = "auto"


def jit_compile(choice: str | bool = AUTO) -> bool:
    """Return the `jit_compile` to compile a model with.

    `"auto"` is True on JAX; False on PyTorch, where `torch.compile` does not get through Keras'
    layers (and made timm's own model slower: 0.81 s a step instead of 0.60); and on TensorFlow
    True where there is a GPU or a TPU, for which XLA's fusion saves the memory traffic that such a
    device waits for, and False on a CPU. There a step of a CaiT of
    12 + 2 layers (batch 32, 32 pixels, two cores with AVX-512) took 0.82 s without XLA and 25 to
    41 s with it, nearly all of it compilation anew in each step. That is mended (see
    `kerasvit.layers.primitives.fusing.inside_compiled_step`); what XLA gains or loses on a CPU
    since then is in docs/how_to/training.md.

    Args:
        choice: `"auto"`, or True or False where the user knows better.

    Returns:
        bool, always False on PyTorch.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return False
    if choice != AUTO:
        return bool(choice)
    return backend == "jax" or _has_accelerator()


def _has_accelerator() -> bool:
    """Tell whether TensorFlow sees a device that is no CPU."""
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())
