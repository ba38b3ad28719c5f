"""The model that looks: loaded, with its preprocessing and its name."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from kerasvit.images import Preprocessing
from kerasvit.images.records import recorded_preprocessing
from kerasvit.pretrained import from_pretrained
from kerasvit.releases import EMBEDDED
from kerasvit.saliency.backends import to_numpy


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to look at pictures.

    Args:
        model: a kerasvit model.
        preprocessing: how pictures become its input.
        label: what outputs call it.
        source: where it came from: a release, a file, or `"memory"`.
    """

    model: Any
    preprocessing: Preprocessing
    label: str
    source: str

    def facts(self) -> dict[str, str]:
        """Return what a manifest says of the model."""
        digest = weights_sha256(self.model)
        return {"name": self.label, "source": self.source, "weights_sha256": digest}


def load_model(
    model: Any = None, *, preprocessing: Preprocessing | None = None, **view: Any
) -> LoadedModel:
    """Return a model with its preprocessing.

    Args:
        model: a release or a file, as `kerasvit.from_pretrained` takes them; a kerasvit model; or
            what this function returned. None: the small CaiT in the package.
        preprocessing: None for the one in the model's record.
        **view: further arguments of `kerasvit.from_pretrained`, such as `attention="none"`.

    Raises:
        DownloadError: if the model cannot be downloaded.
        InputError: if the file is no model.
        UsageError: if there is no such release, or the model's record does not say how pictures
            are prepared for it.
    """
    if isinstance(model, LoadedModel):
        return model
    source = EMBEDDED if model is None else model
    if isinstance(source, str | os.PathLike):
        model, name = from_pretrained(source, **view), os.fspath(source)
    else:
        model, name = source, getattr(source, "name", "model")
    if preprocessing is None:
        preprocessing = recorded_preprocessing(model.record, name)
    given = name if isinstance(source, str | os.PathLike) else "memory"
    return LoadedModel(model, preprocessing, model_label(model, name), given)


def model_label(model: Any, name: str | os.PathLike[str]) -> str:
    """Return what outputs call a model: its release, or the file's name."""
    return model.record.get("release") or pathlib.Path(name).name


def weights_sha256(model: Any) -> str:
    """Return a digest of a model's weights that is the same on every backend.

    Args:
        model: a kerasvit model.

    Returns:
        64 hexadecimal digits, over the name, shape and float32 bytes of each weight.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        values = np.ascontiguousarray(to_numpy(weight.value), "<f4")
        name = weight.path.split("/", 1)[-1]
        digest.update(f"{name} {values.shape}\n".encode())
        digest.update(values.data)
    return digest.hexdigest()
