"""The model that looks: loaded, with its preprocessing and its name."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from kerasvit.images import Preprocessing
from kerasvit.images.records import recorded_preprocessing
from kerasvit.models.opening.precision import in_policy, policy_of
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
        return {"source": self.source, **model_facts(self.model, self.label)}


def load_model(
    model: Any = None,
    *,
    preprocessing: Preprocessing | None = None,
    precision: str | None = None,
    **view: Any,
) -> LoadedModel:
    """Return a model with its preprocessing.

    Args:
        model: a release or a file, as `kerasvit.from_pretrained` takes them; a kerasvit model; or
            what this function returned. None: the small CaiT in the package.
        preprocessing: None for the one in the model's record.
        precision: what layers compute in, `"float32"`, `"bfloat16"` or `"float16"`; None for
            what the model says.
        **view: further arguments of `kerasvit.from_pretrained`, such as `attention="none"`.

    Raises:
        DownloadError: if the model cannot be downloaded.
        InputError: if the file is no model.
        UsageError: if there is no such release, or the model's record does not say how pictures
            are prepared for it.
    """
    policy = policy_of(precision)
    if isinstance(model, LoadedModel):
        own = model.model if policy is None else in_policy(model.model, policy)
        return dataclasses.replace(model, model=own)
    source = EMBEDDED if model is None else model
    if isinstance(source, str | os.PathLike):
        model, name = from_pretrained(source, dtype=policy, **view), os.fspath(source)
    else:
        model, name = source, getattr(source, "name", "model")
        model = model if policy is None else in_policy(model, policy)
    if preprocessing is None:
        preprocessing = recorded_preprocessing(model.record, name)
    given = name if isinstance(source, str | os.PathLike) else "memory"
    return LoadedModel(model, preprocessing, model_label(model, name), given)


def model_label(model: Any, name: str | os.PathLike[str]) -> str:
    """Return what outputs call a model: its release, or the file's name."""
    return model.record.get("release") or pathlib.Path(name).name


def model_facts(model: Any, label: str) -> dict[str, str]:
    """Return what reports say of a model: its weights, and what it computes in unless float32.

    Args:
        model: a kerasvit model.
        label: what the report calls it.
    """
    policy = model.dtype_policy.name
    facts = {"name": label, "weights_sha256": weights_sha256(model)}
    return facts if policy == "float32" else {**facts, "dtype": policy}


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
