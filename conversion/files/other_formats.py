"""Files and folders of other formats: what each is, and what to do with it.

Facts: the formats' own signatures: ONNX and Core ML (protobuf: a version first), GGUF, msgpack,
TensorFlow Lite (FlatBuffers' identifier), TensorRT, torch's `.pt2` and distributed checkpoints,
Orbax, PEFT.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable

_PYTORCH_WEIGHTS = "convert the PyTorch weights that it was made from (.safetensors or .pth)"
_SAME_REPOSITORY = "take model.safetensors or pytorch_model.bin of the same repository"


@dataclasses.dataclass(frozen=True)
class OtherFormat:
    """A format that holds no checkpoint, or one that is read by other programs.

    Args:
        start: regular expression of the first bytes.
        kind: what the file is, after "is".
        advice: what to do.
    """

    start: bytes
    kind: str
    advice: str

    def matches(self, head: bytes) -> bool:
        """Tell whether a file that starts so is of this format."""
        return re.match(self.start, head, re.DOTALL) is not None


OTHER_FORMATS = (
    OtherFormat(
        rb"version https://git-lfs", "a git-lfs pointer, not the weights", "run: git lfs pull"
    ),
    OtherFormat(
        rb"\x89HDF\r\n\x1a\n",
        "a Keras or HDF5 file, already past conversion, or TensorFlow's weights of transformers",
        f"load it with Keras; for tf_model.h5 {_SAME_REPOSITORY}",
    ),
    OtherFormat(rb"\x93NUMPY", "a single .npy array", "save all arrays by name with numpy.savez"),
    OtherFormat(rb"GGUF", "a GGUF file, quantised weights of llama.cpp", _PYTORCH_WEIGHTS),
    OtherFormat(rb"....TFL3", "a TensorFlow Lite (LiteRT) model", _PYTORCH_WEIGHTS),
    OtherFormat(rb"[fp]trt", "a TensorRT engine", _PYTORCH_WEIGHTS),
    OtherFormat(rb"\x08\x01\x12", "a SavedModel of TensorFlow", _PYTORCH_WEIGHTS),
    # A version, then a text: the producer's name. Core ML has a message there.
    OtherFormat(rb"\x08[\x03-\x20](\x12.[\w .-]{3}|[:B])", "an ONNX model", _PYTORCH_WEIGHTS),
    OtherFormat(rb"\x08[\x01-\x20]\x12.{1,3}\x0a", "a Core ML model", _PYTORCH_WEIGHTS),
    # A map whose first key is a text.
    OtherFormat(
        rb"([\x81-\x8f]|\xde..|\xdf....)([\xa1-\xbf]|\xd9.)[\w./]",
        "a msgpack file, Flax's weights",
        f"{_SAME_REPOSITORY}, or save the arrays by name with numpy.savez",
    ),
    OtherFormat(rb"\x1f\x8b", "a gzip archive", "unpack it first"),
    OtherFormat(rb"BZh", "a bzip2 archive", "unpack it first"),
    OtherFormat(rb"\xfd7zXZ", "an xz archive", "unpack it first"),
    OtherFormat(rb"\x28\xb5\x2f\xfd", "a zstandard archive", "unpack it first"),
    OtherFormat(rb"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    OtherFormat(rb"\x89PNG", "a picture", "pass the checkpoint"),
    OtherFormat(rb"\xff\xd8\xff", "a picture", "pass the checkpoint"),
)

# Members of zip archives that are no checkpoints; the advice of each.
ZIP_MEMBERS = (
    (
        r"(.*/)?(archive_format|serialized_exported_program\.json|models/[^/]+\.json)",
        "is an exported program of torch.export (.pt2), which is a graph",
        "save the weights: torch.save(torch.export.load(path).state_dict, new_path)",
    ),
)

_DCP = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
# Names that tell what a folder is, the surest first.
_FOLDERS = (
    (
        r"\.metadata|.*\.distcp",
        "a distributed checkpoint of torch",
        f"join it first: {_DCP} {{}} model.pth",
    ),
    (
        r"zero_to_fp32\.py|zero_pp_rank_.*",
        "a checkpoint of DeepSpeed's ZeRO",
        "join it first: python zero_to_fp32.py . model.pth",
    ),
    (
        r"adapter_config\.json",
        "an adapter of PEFT, not a whole model",
        "merge it first: model.merge_and_unload().save_pretrained(folder)",
    ),
    (
        r"_CHECKPOINT_METADATA|manifest\.ocdbt|_METADATA",
        "a checkpoint of Orbax or Flax",
        "save the arrays by name with numpy.savez",
    ),
    (r"saved_model\.pb|keras_metadata\.pb", "a SavedModel of TensorFlow", _PYTORCH_WEIGHTS),
    (r"flax_model\.msgpack", "a model in Flax's format", _SAME_REPOSITORY),
    (r"tf_model\.h5", "a model in TensorFlow's format", _SAME_REPOSITORY),
    (r".*\.onnx", "an ONNX model", _PYTORCH_WEIGHTS),
    (r"Manifest\.json", "a Core ML package", _PYTORCH_WEIGHTS),
    (r".*\.data-\d+-of-\d+", "a checkpoint of TensorFlow", _SAME_REPOSITORY),
    (r".*\.(pdmodel|pdiparams)", "a model of Paddle", _PYTORCH_WEIGHTS),
    (r".*\.xml", "a model of OpenVINO", _PYTORCH_WEIGHTS),
)


def folder_kind(names: Iterable[str]) -> tuple[str, str] | None:
    """Return what a folder of files of these names is, and what to do; None if nothing says it."""
    names = tuple(names)
    for pattern, kind, advice in _FOLDERS:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind, advice
    return None


def distributed_advice(path: pathlib.Path) -> str | None:
    """Return what to do with one file of a distributed checkpoint; None for any other file."""
    if path.suffix == ".distcp" or path.name == ".metadata":
        return f"join the folder first: {_DCP} {path.parent} model.pth"
    return None
