"""LiteRT, once TensorFlow Lite, for telephones and small boards; made from a SavedModel."""

import pathlib
import shutil

import numpy as np

from kerasvit.exporting.formats.format import INPUT, Exportable, Format, Runner
from kerasvit.exporting.formats.saved_model import SIGNATURE, write_folder

METADATA = "kerasvit"


def _write(computation: Exportable, path: pathlib.Path, facts: str) -> None:
    import tensorflow as tf

    folder = path.with_name("saved_model")
    write_folder(computation, folder, facts, may_be_half=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SIGNATURE])
    if computation.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if computation.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(_with_metadata(converter.convert(), facts))
    shutil.rmtree(folder)


def _with_metadata(flat: bytes, facts: str) -> bytes:
    """Add a named buffer to the file's own list of metadata."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(flat, 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(facts.encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(flat) + len(facts))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _load(path: pathlib.Path) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    signature = interpreter.get_signature_runner(SIGNATURE)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        # The runner resizes the input to this batch; its arrays are views into the interpreter.
        return {name: np.array(value) for name, value in signature(**{INPUT: images}).items()}

    return run


FORMAT = Format(
    name="litert",
    title="LiteRT",
    backend="tensorflow",
    suffix=".tflite",
    packages=(),
    runtime="ai-edge-litert",
    precisions=("float32", "float16", "int8"),
    write=_write,
    load=_load,
)
