"""`from_pretrained`: weights from a release, a `.keras` file or a PyTorch checkpoint."""

import importlib.resources
import os
import pathlib
import zipfile
from typing import Any

import keras

from kerasvit.errors import InputError, UsageError
from kerasvit.layers.base import without_random_start
from kerasvit.models.base import ScoreModel
from kerasvit.releases import EMBEDDED, Release, find_release


def from_pretrained(source: Any = EMBEDDED, model: str | None = None, **arguments) -> ScoreModel:
    """Return a model with pretrained weights.

    Args:
        source: path of a `.keras` file that kerasvit wrote; path of a foreign checkpoint (`.pth`,
            `.safetensors`, ...), a state dict or a live `timm` model, which are converted; or the
            name of a release that the package ships (`"cait_nano_patch4_32.cifar10"`).
        model: name of the architecture of a foreign checkpoint, such as "vit_small_patch16_224";
            needed where the checkpoint fits several.
        **arguments: for a foreign checkpoint, those of `kerasvit.conversion.convert.convert`; for a
            `.keras` file, those that change what is returned: `attention`, `attention_blocks`.

    Returns:
        A `CaiT` or a `VisionTransformer`. Its `record` says where the weights come from and how
        images are prepared for it.

    Raises:
        InputError: if the file is missing, damaged or not what it should be.
        UsageError: if the name is unknown, or a package is missing that the conversion needs.
    """
    if not isinstance(source, str | os.PathLike):
        return _convert(source, model, arguments)
    path = pathlib.Path(source)
    if path.exists() or _looks_like_path(str(source)):
        if _is_keras_file(path):
            return load(path, **arguments)
        return _convert(path, model, arguments)
    return _from_release(find_release(str(source)), arguments)


def load(path: str | os.PathLike, **view) -> ScoreModel:
    """Load a `.keras` file that holds a model of this package.

    Args:
        path: the file.
        **view: `attention` and `attention_blocks`, see `ScoreModel.with_attention`.

    Raises:
        InputError: if the file is missing, damaged, or holds another kind of model.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(
            f"A model must be a file. Received: {str(path)!r}, which "
            f"{'is a folder' if path.is_dir() else 'does not exist'}. See: kerasvit convert"
        )
    try:
        with without_random_start():
            model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise InputError(_explain(path, error)) from error
    if not isinstance(model, ScoreModel):
        raise InputError(
            f"{str(path)!r} holds a {type(model).__name__}; it must be a CaiT or a "
            "VisionTransformer of kerasvit. Received: another Keras model. Convert the weights "
            "with: kerasvit convert"
        )
    if view:
        attention = view.pop("attention", model.attention)
        model = model.with_attention(attention, view.pop("attention_blocks", None), **view)
    return model


def _explain(path, error) -> str:
    if not _is_keras_file(path):
        return (
            f"{str(path)!r} is no Keras model; it must be a .keras file. Received: another kind of "
            "file, or a damaged one. Convert a checkpoint with: kerasvit convert"
        )
    reason = " ".join(str(error).split())[:200]
    return (
        f"{str(path)!r} cannot be loaded; it must be a whole .keras file of this kerasvit. "
        f"Received: {type(error).__name__}: {reason}. Write it again with: kerasvit convert"
    )


def _looks_like_path(source: str) -> bool:
    suffixes = (".keras", ".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".npz", ".h5")
    return source.endswith(suffixes) or os.sep in source


def _is_keras_file(path: pathlib.Path) -> bool:
    if path.suffix == ".keras":
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"config.json", "model.weights.h5"} <= set(archive.namelist())


def _from_release(release: Release, arguments: dict[str, Any]) -> ScoreModel:
    if not release.embedded:
        where = f"https://huggingface.co/{release.hub}" if release.hub else release.url
        raise UsageError(
            f"The release {release.name!r} is not in the package, and downloading it is not built "
            f"yet. Get the file from {where} and pass its path with model={release.model!r}."
        )
    file = importlib.resources.files("kerasvit") / "pretrained" / f"{release.name}.keras"
    with importlib.resources.as_file(file) as path:
        return load(path, **arguments)


def _convert(source, model: str | None, arguments: dict[str, Any]) -> ScoreModel:
    # The only room that needs foreign packages: imported when a foreign file is.
    from kerasvit.conversion.convert import convert

    return convert(source, model=model, **arguments).model
