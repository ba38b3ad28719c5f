"""A large square matrix product: what each library gets out of this machine at best."""

import numpy as np

SIDE = 2048


class Product:
    """One float32 product of two square matrices.

    Args:
        task: what to run; `task.size` is the side of the matrices.
        library: "jax", "tensorflow", "torch" or "numpy".
    """

    images = 1

    def __init__(self, task, library: str):
        matrix = np.random.default_rng(0).standard_normal((task.size, task.size), "float32")
        self.multiply = globals()[f"_{library}"](matrix, task.threads)

    def __call__(self):
        return self.multiply(), {}


def _numpy(matrix, threads):
    return lambda: matrix @ matrix


def _torch(matrix, threads):
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(matrix)
    return lambda: (tensor @ tensor).numpy()


def _tensorflow(matrix, threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tensor = tf.constant(matrix)
    return lambda: tf.matmul(tensor, tensor).numpy()


def _jax(matrix, threads):
    import jax

    tensor = jax.device_put(matrix)
    multiply = jax.jit(lambda left, right: left @ right)
    return lambda: np.asarray(multiply(tensor, tensor))
