"""TensorFlow's SavedModel, a folder, which TF Serving serves."""

import pathlib

import numpy as np

from kerasvit.exporting.formats.format import INPUT, Exportable, Format, Runner, as_numpy

# A folder that TensorFlow keeps free for what belongs to a model and is none of its business.
METADATA = "assets.extra/kerasvit.json"
SIGNATURE = "serving_default"


def write_folder(
    computation: Exportable, path: pathlib.Path, facts: str, may_be_half: bool = True
) -> None:
    """Write a computation as a SavedModel with one signature.

    `may_be_half`: see `Computation.stored_weights`.
    """
    import tensorflow as tf

    from kerasvit.layers.primitives.fusing import plain_graphs
    from kerasvit.models.fitting_images import open_sizes

    module = tf.Module()
    module.weights = [tf.Variable(values) for values in computation.stored_weights(may_be_half)]
    height, width, channels = computation.image_shape
    size = (None, None) if computation.has_open_size else (height, width)
    signature = [tf.TensorSpec((None, *size, channels), computation.dtype, name=INPUT)]
    serve = tf.function(
        lambda images: computation(_whole_patches(images, computation), module.weights),
        input_signature=signature,
        autograph=False,
    )
    module.serve = serve
    with plain_graphs(), open_sizes():
        signatures = {SIGNATURE: serve.get_concrete_function()}
        tf.saved_model.save(module, str(path), signatures=signatures)
    (path / METADATA).parent.mkdir()
    (path / METADATA).write_text(facts)


def _whole_patches(images, computation: Exportable):
    """Have the graph refuse what the patches do not divide; its convolution would cut it off."""
    if not computation.has_open_size:
        return images
    import tensorflow as tf

    steps = computation.size_steps
    rest = tf.shape(images)[1:3] % steps
    rule = f"Height and width must be multiples of the patch size {steps}"
    with tf.control_dependencies([tf.debugging.assert_equal(rest, 0, rule)]):
        return tf.identity(images)


def _load(path: pathlib.Path) -> Runner:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        # The signature does not keep alive what it was loaded with.
        assert loaded is not None
        return as_numpy(signature(**{INPUT: tf.constant(images)}))

    return run


FORMAT = Format(
    name="saved_model",
    title="a SavedModel",
    backend="tensorflow",
    suffix="",
    packages=(),
    runtime="tensorflow",
    precisions=("float32", "float16"),
    write=write_folder,
    load=_load,
)
