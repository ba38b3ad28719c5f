"""A TPU v5e that is not there: `libtpu` compiles for it and says what a program costs."""

import os
from typing import Any

# A v5e chip: operations a second in bfloat16, and bytes a second of its memory.
# Source: https://cloud.google.com/tpu/docs/v5e
OPERATIONS = 197e12
BYTES = 819e9

_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "JAX_PLATFORMS": "cpu",
    "KERAS_BACKEND": "jax",
}


def prepare() -> None:
    """Set what `libtpu` asks for where there is no TPU; before anything imports JAX or Keras."""
    os.environ.update(_ENVIRONMENT)


def mesh(topology: str, batch_devices: int, model_devices: int) -> Any:
    """Return a `jax.sharding.Mesh` with the axes "batch" and "model".

    Args:
        topology: "v5e:2x2" or "v5e:4x4".
        batch_devices, model_devices: lengths of the axes; the first devices are taken.
    """
    import jax
    import numpy as np
    from jax.experimental import topologies

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    grid: Any = np.array(devices[: batch_devices * model_devices])
    return jax.sharding.Mesh(grid.reshape(batch_devices, model_devices), ("batch", "model"))
