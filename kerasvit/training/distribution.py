"""Training on many devices and hosts: `keras.distribution`, which runs on JAX."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

import keras

from kerasvit.errors import UsageError


class Distribution(Protocol):
    """What is used of `keras.distribution.DataParallel` and `ModelParallel`."""

    device_mesh: Any
    data_shard_id: int
    num_processes: int
    num_model_replicas: int

    def scope(self) -> contextlib.AbstractContextManager:
        """Make it the current one inside a block."""


KINDS = ("data", "model")
BATCH, MODEL = "batch", "model"

# Of two maps in a row the first is split by its outputs and the second by its inputs: what lies
# between stays where it is, and one sum over the devices ends each branch of a block.
_FIRST = r".*_block_\d+/.*(qkv|query|key|value|key_value|dense_1)"
_SECOND = r".*_block_\d+/.*(projection|dense_2)"
LAYOUT = {
    f"{_FIRST}/kernel": (None, MODEL),
    f"{_FIRST}/bias": (MODEL,),
    f"{_SECOND}/kernel": (MODEL, None),
}


def layout_map(mesh: keras.distribution.DeviceMesh) -> keras.distribution.LayoutMap:
    """Return where the weights of a `VisionTransformer` or `CaiT` lie on a mesh of devices.

    The matrices of attention and MLP are split over the axis "model"; everything else, patch and
    position embedding, norms, tokens and heads, is on every device.

    Args:
        mesh: with an axis named "model", whose size divides `hidden_dim` and `mlp_dim`.

    Source: Shoeybi et al. 2019, section 3 (https://arxiv.org/abs/1909.08053).
    """
    layouts = keras.distribution.LayoutMap(mesh)
    for pattern, axes in LAYOUT.items():
        layouts[pattern] = axes
    return layouts


class _SplitModel(keras.distribution.ModelParallel):
    """Model parallelism that names the weight that cannot be split, and by what."""

    def get_variable_layout(self, variable):
        layout = super().get_variable_layout(variable)
        sizes = dict(zip(self.device_mesh.axis_names, self.device_mesh.shape, strict=True))
        for length, axis in zip(variable.shape, layout.axes, strict=True):
            if axis is not None and length % sizes[axis]:
                raise UsageError(
                    "The devices that share a model must divide hidden_dim and mlp_dim. Received: "
                    f"{sizes[axis]} devices for {variable.path} of shape {tuple(variable.shape)}. "
                    "Take fewer devices a model."
                )
        return layout


def make_distribution(kind: str, model_devices: int | None = None) -> Distribution:
    """Return the distribution over all devices of all hosts; `scope()` or Keras makes it current.

    The data of each host is its own: see `data_shard`.

    Args:
        kind: "data": every device has the whole model and a part of each batch; or "model": groups
            of devices share a model, and each group has a part of each batch.
        model_devices: number of devices that share a model; None for all of a host. Only for
            "model".

    Raises:
        UsageError: if the backend is not JAX, the kind is unknown, or the number of devices is not
            a multiple of `model_devices`.
    """
    _require_jax()
    if kind not in KINDS:
        raise UsageError(f"A distribution is one of {', '.join(KINDS)}. Received: {kind!r}.")
    devices = keras.distribution.list_devices()
    if kind == "data":
        return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    shared = _local_device_count() if model_devices is None else model_devices
    if shared < 1 or len(devices) % shared:
        raise UsageError(
            "The number of devices must be a multiple of those that share a model. "
            f"Received: {len(devices)} devices, {shared} a model."
        )
    mesh = keras.distribution.DeviceMesh((len(devices) // shared, shared), (BATCH, MODEL), devices)
    return _SplitModel(layout_map=layout_map(mesh), batch_dim_name=BATCH, auto_shard_dataset=False)


@contextlib.contextmanager
def distributed(
    kind: str | None, model_devices: int | None = None
) -> Iterator[Distribution | None]:
    """Make models on all devices inside the block, and train them there.

    Where `KERAS_DISTRIBUTION_NUM_PROCESSES` is set, the hosts find each other first: nothing may
    have run on JAX by then. Model, optimiser and `fit` belong inside the block.

    Args:
        kind: see `make_distribution`; None for one device, which changes nothing.
        model_devices: see `make_distribution`.

    Yields:
        The distribution, or None.

    Raises:
        UsageError: see `make_distribution`.
    """
    if kind is None:
        yield None
        return
    _require_jax()
    join_hosts()
    distribution = make_distribution(kind, model_devices)
    with distribution.scope():
        yield distribution


def join_hosts() -> None:
    """Join the other hosts, where the environment says that there are some.

    `KERAS_DISTRIBUTION_JOB_ADDRESSES` (host and port of the first), `_NUM_PROCESSES` and
    `_PROCESS_ID` are Keras' own variables. A second call does nothing.
    """
    import jax

    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ and not jax.distributed.is_initialized():
        keras.distribution.initialize()


def data_shard(distribution: Distribution | None) -> tuple[int, int]:
    """Return `(number, count)`: which of how many parts of the data this host loads.

    Args:
        distribution: the current one, or None.
    """
    if distribution is None:
        return 0, 1
    return distribution.data_shard_id, min(
        distribution.num_processes, distribution.num_model_replicas
    )


def is_first_host() -> bool:
    """Tell whether this process is the one that writes files and logs."""
    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.process_index() == 0


def check_batch(distribution: Distribution | None, *sizes: int) -> None:
    """Raise `UsageError` unless batches of these sizes a host can be split among its devices.

    Args:
        distribution: the current one, or None, which takes any size.
        *sizes: numbers of pictures of a batch on one host; that of the last one too.
    """
    if distribution is None:
        return
    parts = distribution.num_model_replicas // data_shard(distribution)[1]
    for size in sizes:
        if size % parts:
            raise UsageError(
                f"A host splits each batch into {parts} equal parts. "
                f"Received: {size} pictures. Choose a multiple of {parts}."
            )


def _local_device_count() -> int:
    import jax

    return jax.local_device_count()


def _require_jax() -> None:
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"Keras distributes over devices on JAX. Received: {backend}. "
            "Set KERAS_BACKEND=jax; for tf.distribute and PyTorch's DDP "
            "see docs/how_to/distribution.md."
        )
