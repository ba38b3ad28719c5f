"""Keras models on the three backends, each compiled as its users would: kerasvit and keras-hub."""

import functools

import keras
import numpy as np

from benchmarks.contenders import Skipped
from benchmarks.contenders.pictures import channels_last
from benchmarks.harness.subjects import SUBJECTS


class KerasViT:
    """kerasvit with random weights, in one of its score modes.

    Args:
        task: what to run.
        engine: "jax" (jit), "tf" (tf.function), "tf-xla" (the same with XLA) or "torch".
        mode: "full", "cls" or "none".
    """

    def __init__(self, task, engine: str, mode: str):
        limit_threads(engine, task.threads)
        import kerasvit

        arguments = SUBJECTS[task.model].kerasvit_arguments(task.size)
        model = kerasvit.create_model(task.model, attention=mode, **arguments)
        self.forward = forward(model, engine)
        self.pictures = channels_last(task)
        self.images = task.batch

    def __call__(self):
        logits, sa_scores, ca_scores = self.forward(self.pictures)
        return to_arrays((logits, {**sa_scores, **ca_scores}))


class KerasHub:
    """keras-hub's ViT of the same sizes; it returns no scores."""

    def __init__(self, task, engine: str):
        import keras_hub

        subject = SUBJECTS[task.model]
        if subject.class_layers:
            raise Skipped("keras-hub has no CaiT")
        limit_threads(engine, task.threads)
        backbone = keras_hub.models.ViTBackbone(
            image_shape=(task.size, task.size, 3),
            patch_size=(subject.patch, subject.patch),
            num_layers=subject.layers,
            num_heads=subject.heads,
            hidden_dim=subject.width,
            mlp_dim=4 * subject.width,
        )
        self.forward = forward(backbone, engine)
        self.pictures = channels_last(task)
        self.images = task.batch

    def __call__(self):
        return to_arrays((self.forward(self.pictures), {}))


def limit_threads(engine: str, threads: int) -> None:
    """Tell the backends that take a number of threads; JAX goes by the allowed CPUs."""
    if engine == "torch":
        import torch

        torch.set_num_threads(threads)
    elif engine.startswith("tf"):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)


def forward(model, engine: str):
    """Return the model as a function of NumPy pictures, compiled where the engine compiles."""
    return {"jax": _jax, "tf": _tf, "tf-xla": _tf_xla, "torch": _torch}[engine](model)


def _jax(model):
    import jax

    variables = model.variables

    @jax.jit
    def run(weights, pictures):
        with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
            return model(pictures, training=False)

    return functools.partial(run, [variable.value for variable in variables])


def _tf(model, jit_compile=False):
    import tensorflow as tf

    @tf.function(jit_compile=jit_compile)
    def run(pictures):
        return model(pictures, training=False)

    return lambda pictures: run(tf.convert_to_tensor(pictures))


def _tf_xla(model):
    return _tf(model, jit_compile=True)


def _torch(model):
    import torch

    def run(pictures):
        with torch.inference_mode():
            return model(torch.from_numpy(pictures), training=False)

    return run


def to_arrays(outputs):
    """Bring every tensor to the host, which waits for it to be computed; CPUs copy nothing.

    `keras.ops.convert_to_numpy` copies, which timm's hooks do not.
    """
    return keras.tree.map_structure(np.asarray, outputs)
