"""StableHLO: what `jax.export` serialises, for XLA on any device."""

import pathlib

import numpy as np

from kerasvit.exporting.formats.format import Exportable, Format, Runner, as_numpy

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    """Write the program; it has no place for facts, which the sidecar alone keeps."""
    import jax
    from jax import export

    weights = [jax.numpy.asarray(values) for values in computation.stored_weights()]
    images = jax.ShapeDtypeStruct(export.symbolic_shape(_axes(computation)), computation.dtype)
    exported = export.export(
        jax.jit(lambda images: computation(images, weights)), platforms=_PLATFORMS
    )(images)
    path.write_bytes(exported.serialize())


def _axes(computation: Exportable) -> str:
    """Return the images' shape in the language of `jax.export`, height and width in patches."""
    height, width, channels = computation.image_shape
    if not computation.has_open_size:
        return f"batch, {height}, {width}, {channels}"
    down, across = computation.size_steps
    return f"batch, {down}*rows, {across}*columns, {channels}"


def _load(path: pathlib.Path) -> Runner:
    from jax import export

    exported = export.deserialize(bytearray(path.read_bytes()))

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        return as_numpy(exported.call(images))

    return run


FORMAT = Format(
    name="stablehlo",
    title="StableHLO",
    backend="jax",
    suffix=".stablehlo",
    packages=(),
    runtime="jax",
    precisions=("float32", "float16"),
    write=_write,
    load=_load,
)
