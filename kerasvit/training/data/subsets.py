"""Parts of a folder of pictures: a few of each class, and a share that is held out."""

import numpy as np

from kerasvit.errors import UsageError
from kerasvit.training.data.folders import PictureFolder


def first_of_each_class(folder: PictureFolder, count: int) -> PictureFolder:
    """Return the first pictures of each class, in the folder's order, `count` at most of each."""
    firsts = [members[:count] for members in _members(folder)]
    return select(folder, np.unique(np.concatenate(firsts)))


def _members(folder: PictureFolder) -> list[np.ndarray]:
    """Return which pictures are of each class, or have each label, of those that any has."""
    if folder.has_many_labels:
        return [np.flatnonzero(column) for column in folder.labels.T if column.any()]
    return [np.flatnonzero(folder.labels == label) for label in np.unique(folder.labels)]


def hold_out(
    folder: PictureFolder, share: float, seed: int = 0
) -> tuple[PictureFolder, PictureFolder | None]:
    """Divide a folder in two, class by class; one of many labels, whatever they are.

    Args:
        folder: the pictures.
        share: float in [0, 1), of each class that is held out, rounded; one picture at least of a
            class that has two, none of a class that has one.
        seed: of the choice.

    Returns:
        The part to train on, and the part that is held out; None if that is empty.

    Raises:
        UsageError: if `share` is out of its range.
    """
    if not 0.0 <= share < 1.0:
        raise UsageError(f"The share that is held out lies in [0, 1). Received: {share!r}.")
    random = np.random.default_rng(seed)
    held: list[int] = []
    strata = [np.arange(len(folder))] if folder.has_many_labels else _members(folder)
    for stratum in strata if share else []:
        members = random.permutation(stratum)
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held += members[:count].tolist()
    if not held:
        return folder, None
    rest = np.setdiff1d(np.arange(len(folder)), held)
    return select(folder, rest), select(folder, np.sort(held))


def select(folder: PictureFolder, indices: np.ndarray) -> PictureFolder:
    """Return some pictures of a folder as a folder of the same classes."""
    paths = [folder.paths[index] for index in indices]
    return PictureFolder(paths, folder.labels[indices], folder.class_names, folder.archive)
