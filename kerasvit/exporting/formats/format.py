"""What every format says of itself."""

import dataclasses
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

# What the input is called in every format.
INPUT = "images"

# From images `(B, height, width, C)` to the outputs by name.
Runner = Callable[[np.ndarray], dict[str, np.ndarray]]


class Exportable(Protocol):
    """What a format is given to write: see `kerasvit.exporting.computation.Computation`."""

    image_shape: tuple[int, int, int]
    has_open_size: bool
    size_steps: tuple[int, int]
    dtype: str
    precision: str
    runtime: str | None
    outputs: dict[str, np.ndarray]
    shapes: dict[str, list[Any]]

    def __call__(self, images: Any, weights: Sequence[Any] | None = None) -> dict[str, Any]:
        """Return the outputs by name."""

    def stored_weights(self, may_be_half: bool = True) -> list[np.ndarray]:
        """Return the weights as the file is to hold them."""

    def sizes(self) -> list[tuple[int, int]]:
        """Return the heights and widths that the file is checked at, the largest last."""

    def sample(self, batch: int, seed: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return random pictures."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file that models are exported to.

    Args:
        name: as the command line calls it.
        title: as sentences call it.
        backend: the backend of Keras whose tools write it.
        suffix: that the output's name ends in; empty for a folder.
        packages: distributions beyond the backend that writing needs.
        runtime: the distribution that runs the result.
        precisions: of the weights, that it can be written in.
        write: takes the computation, the path and the facts as JSON; writes `path` (and what
            `companions` names beside it).
        load: opens what was written in its real runtime, and returns a function that runs it.
        companions: suffixes of the files that belong to `path`, each in place of `suffix`.
        file_suffix: of a format whose output is a folder: that of a single file instead of it.
        may_have_open_size: whether height and width may be left to a run.
    """

    name: str
    title: str
    backend: str
    suffix: str
    packages: tuple[str, ...]
    runtime: str
    precisions: tuple[str, ...]
    write: Callable[[Exportable, pathlib.Path, str], None]
    load: Callable[[pathlib.Path], Runner]
    companions: tuple[str, ...] = ()
    file_suffix: str = ""
    may_have_open_size: bool = True

    def is_folder(self, path: pathlib.Path) -> bool:
        """Tell whether the output of this name is a folder."""
        return not self.suffix and not (self.file_suffix and path.suffix == self.file_suffix)

    def missing_packages(self) -> list[str]:
        """Return the distributions that writing needs and that are not installed."""
        return [name for name in self.packages if not is_installed(name)]


def is_installed(distribution: str) -> bool:
    """Tell whether a distribution, such as "ai-edge-litert", is installed."""
    return installed_version(distribution) is not None


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def as_numpy(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return tensors of any library as arrays by the same names."""
    return {name: np.asarray(value) for name, value in outputs.items()}
