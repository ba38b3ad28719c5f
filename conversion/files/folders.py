"""Which file of a folder is meant: the usual one, the only one, or a question that names all."""

import os
import pathlib
import re

from kerasvit.conversion.files.other_formats import folder_kind
from kerasvit.conversion.files.sharded import USUAL_FILES
from kerasvit.errors import InputError

_WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".npz", ".tar")
# What trainers keep beside the weights under the same suffixes, and PEFT in their place.
_BESIDE = re.compile(
    r"adapter_model.*|optimizer.*|scheduler.*|scaler.*|rng_state.*|training_args.*|random_states.*|.*_optim_states.*"
)
_SHOWN = 8


def file_in(path: pathlib.Path) -> pathlib.Path:
    """Return the weights in a folder; any other path as it is.

    Raises:
        InputError: if the folder holds none, several, or something else, and says which.
    """
    if not os.path.isdir(path):  # unlike the method of `Path`, false for any name that can't be
        return path
    usual = [path / name for name in USUAL_FILES if os.path.isfile(path / name)]
    if usual:
        return usual[0]
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError:  # who opens the path says why it can't be
        return path
    files = [name for name in names if _may_be_meant(path / name)]
    known = folder_kind(names)
    if known is not None and not files:
        kind, advice = known
        raise InputError(
            f"{str(path)!r} is {kind}; a checkpoint is a file of torch.save, safetensors or an "
            f".npz. Received: {', '.join(names[:_SHOWN])}. {_sentence(advice.format(path))}"
        )
    if len(files) == 1:
        return path / files[0]
    raise InputError(_question(path, names, files))


def _may_be_meant(path: pathlib.Path) -> bool:
    return path.suffix in _WEIGHTS and os.path.isfile(path) and not _BESIDE.fullmatch(path.name)


def _question(path: pathlib.Path, names: list[str], files: list[str]) -> str:
    if files:
        listing = ", ".join(files[:_SHOWN]) + (", ..." if len(files) > _SHOWN else "")
        return (
            f"{str(path)!r} is a folder with {len(files)} files that could be meant; a checkpoint "
            f"is one. Received: {listing}. Pass the file inside it, such as "
            f"{str(path / files[0])!r}"
        )
    folders = [name for name in names if os.path.isdir(path / name)]
    inside = [name for name in folders if any(map(_may_be_meant, (path / name).iterdir()))]
    if inside:
        return (
            f"{str(path)!r} is a folder of folders; a checkpoint is one file. Received: "
            f"{', '.join(inside[:_SHOWN])}. Pass the one that is meant, such as "
            f"{str(path / inside[-1])!r}"
        )
    return (
        f"{str(path)!r} is a folder without a checkpoint; it must hold a file that ends in "
        f"{', '.join(_WEIGHTS)}. Received: {', '.join(names[:_SHOWN]) or 'an empty folder'}. Pass "
        "the file inside it"
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
