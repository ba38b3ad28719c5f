"""The models that the page offers: those named on the command line, and those in the package."""

import os
import pathlib
from collections.abc import Sequence

from kerasvit.app.limits import KEPT_MODELS
from kerasvit.app.recent import Recent
from kerasvit.errors import InputError, UsageError
from kerasvit.look import LoadedModel, load_model
from kerasvit.pretrained import is_path
from kerasvit.releases import find_release, load_releases


class ModelShelf:
    """Models by the name that the page shows; a few of them stay loaded.

    A visitor chooses among these names and cannot name a file, an address or another release.

    Args:
        sources: `.keras` files, folders of them, or releases; the first model is shown first. Those
            that lie in the package follow.
        precision: what layers compute in, `"float32"`, `"bfloat16"` or `"float16"`; None for
            what each model says.

    Raises:
        InputError: if there is no such file, or a folder holds no `.keras` file.
        UsageError: if there is no such release.
    """

    def __init__(self, sources: Sequence[str] = (), precision: str | None = None) -> None:
        self._precision = precision
        named = [source for text in sources for source in _expanded(text)]
        shipped = [name for name, release in load_releases().items() if release.embedded]
        self._sources = _labelled([*named, *shipped])
        self._loaded: Recent[LoadedModel] = Recent(KEPT_MODELS)

    @property
    def names(self) -> list[str]:
        """The models' names in the order in which they are offered."""
        return list(self._sources)

    def get(self, name: str) -> LoadedModel:
        """Return a model, loaded.

        Raises:
            KerasViTError: if it cannot be loaded.
            UsageError: if it is not offered.
        """
        if name not in self._sources:
            raise UsageError(
                f"The page does not offer this model. Received: {name!r}. "
                f"Choose among {', '.join(self._sources)}, or start it with: kerasvit app -m MODEL"
            )
        return self._loaded.get(
            name, lambda: load_model(self._sources[name], precision=self._precision)
        )


def _expanded(text: str) -> list[str]:
    """Return the sources that one argument names, each of which exists."""
    if "://" in text:
        return [text]
    if not is_path(text):
        return [find_release(text).name]
    path = pathlib.Path(text)
    if path.is_dir():
        files = sorted(str(file) for file in path.glob("*.keras") if file.is_file())
        if files:
            return files
        raise InputError(
            f"The folder {text!r} has no .keras file. Received: {len(list(path.iterdir()))} other "
            "entries. Name a folder of models, or convert one with: kerasvit convert"
        )
    if not path.is_file():
        raise InputError(
            f"A model must be a file. Received: {text!r}, which does not exist. "
            "Check the name, or see: kerasvit list --pretrained"
        )
    return [text]


def _labelled(sources: Sequence[str]) -> dict[str, str]:
    """Return the sources by their shortest names that tell them apart, each once."""
    labelled: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        parts = pathlib.PurePath(source).parts
        names = [os.path.join(*parts[-count:]) for count in range(1, len(parts) + 1)]
        if is_path(source):
            names = [name.removesuffix(".keras") for name in names]
        label = next((name for name in names if name not in labelled), source)
        labelled[label] = source
    return labelled
