"""The pictures that a command line names: files, folders, patterns, samples, addresses, a pipe."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from kerasvit.errors import InputError
from kerasvit.images import arriving
from kerasvit.images.samples import sample
from kerasvit.images.walking import WILD, LeaveOut, expand, is_hidden, walk

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jfif", ".mpo", ".apng"),
)
_SAMPLE = "sample:"


@dataclasses.dataclass(frozen=True)
class PictureFile:
    """A picture or video that an input stands for.

    Args:
        path: where its bytes lie.
        name: what messages and manifests call it: the path, an address, `"sample:NAME"` or `"-"`.
        below: the sub-folders that lie between the folder that was named and the file.
        is_listed: whether a folder or a pattern holds it, and nobody named it.
    """

    path: pathlib.Path
    name: str
    below: tuple[str, ...] = ()
    is_listed: bool = False


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file or folder that an input holds and that is not read.

    Args:
        path: of the file or folder.
        reason: why not.
    """

    path: pathlib.Path
    reason: str


@dataclasses.dataclass(frozen=True)
class Found:
    """What the inputs stand for.

    Args:
        pictures: in the order of the inputs.
        left_out: what was passed over, and why.
    """

    pictures: tuple[PictureFile, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def paths(self) -> list[pathlib.Path]:
        """Where the pictures' bytes lie."""
        return [picture.path for picture in self.pictures]


def resolve(
    inputs: Sequence[str], more_suffixes: Sequence[str] = (), recursive: bool = False
) -> list[pathlib.Path]:
    """Turn what a user typed into the list of picture files.

    Args:
        inputs: as for `find`.
        more_suffixes: as for `find`.
        recursive: as for `find`.

    Returns:
        Paths in the order of `inputs`.

    Raises:
        KerasViTError: as `find`.
    """
    return find(inputs, more_suffixes, recursive).paths


def find(
    inputs: Sequence[str],
    more_suffixes: Sequence[str] = (),
    recursive: bool = False,
    outputs: str | os.PathLike[str] | None = None,
) -> Found:
    """Turn what a user typed into the list of picture files, and say what was left out.

    Args:
        inputs: each one a file (whatever its suffix), a folder (its pictures), a pattern with `*`,
            `?`, `[...]` or `**` (its pictures), `sample:NAME`, an address `https://...`, which is
            downloaded for as long as the process lives, or `-`, the standard input. A file whose
            name looks like a pattern is taken as the file.
        more_suffixes: of other files that folders and patterns may hold, such as `".mp4"`.
        recursive: whether folders are gone through with all folders below them; links are
            followed, and no folder is visited twice.
        outputs: a folder that is not gone through, since results are written there.

    Returns:
        The files in the order of `inputs`; those of a folder or pattern sorted by name without
        regard to case. A file that comes up twice is kept once.

    Raises:
        DownloadError: if an address cannot be downloaded.
        InputError: if an input does not exist, or a folder or pattern holds no picture.
        UsageError: if a sample is unknown, scikit-image not installed, or `-` named twice.
    """
    finder = _Finder((*SUFFIXES, *more_suffixes), recursive, outputs)
    files = [each for text in arriving.checked(inputs) for each in finder.of(text)]
    pictures = _without_doubles(files, finder.leave_out)
    read = {picture.path for picture in pictures}
    left_out = {entry.path: entry for entry in finder.left_out if entry.path not in read}
    return Found(pictures, tuple(left_out.values()))


def _without_doubles(files: Sequence[PictureFile], leave_out: LeaveOut) -> tuple[PictureFile, ...]:
    """Keep each file once, by its own path rather than by a link to it."""
    real = [os.path.realpath(file.path) for file in files]
    kept: dict[str, PictureFile] = {}
    for place, file in zip(real, files, strict=True):
        if place not in kept or (os.path.islink(kept[place].path) and not file.path.is_symlink()):
            kept[place] = file
    for place, file in zip(real, files, strict=True):
        if os.path.abspath(file.path) != os.path.abspath(kept[place].path):
            leave_out(file.path, f"the same file as {kept[place].name!r}, by a link")
    once = dict.fromkeys(
        file for place, file in zip(real, files, strict=True) if kept[place] is file
    )
    return tuple(once)


class _Finder:
    """Finds what one input after the other stands for, and keeps what was left out."""

    def __init__(
        self,
        suffixes: Sequence[str],
        recursive: bool,
        outputs: str | os.PathLike[str] | None,
    ) -> None:
        self.suffixes, self.recursive = suffixes, recursive
        self.outputs = None if outputs is None else os.path.realpath(outputs)
        self.left_out: list[LeftOut] = []

    def leave_out(self, path: pathlib.Path, reason: str) -> None:
        """Note a file or folder that is not read."""
        self.left_out.append(LeftOut(path, reason))

    def of(self, text: str) -> list[PictureFile]:
        """Return the pictures that an input stands for."""
        if text.startswith(_SAMPLE):
            return [PictureFile(sample(text.removeprefix(_SAMPLE)), text)]
        if text == arriving.STANDARD_INPUT:
            return [PictureFile(arriving.read_standard_input(), text)]
        if arriving.is_address(text):
            return [PictureFile(arriving.download(text), arriving.shown(text))]
        if os.path.isdir(text):
            return self._checked(self._in_folder(pathlib.Path(text)), f"The folder {text!r}")
        if os.path.exists(text):
            return [_file(pathlib.Path(text))]
        if WILD.search(text):
            return self._checked(self._matching(text), f"The pattern {text!r}")
        arriving.refuse_scheme(text)
        raise InputError(
            f"There is no file or folder {text!r}. Check the name, or use sample:NAME "
            "for one of the photographs of scikit-image."
        )

    def _checked(self, files: Iterable[PictureFile], where: str) -> list[PictureFile]:
        """Return the files sorted, or say that there are none."""
        before = len(self.left_out)
        pictures = sorted(files, key=lambda file: (file.name.lower(), file.name))
        if pictures:
            return pictures
        others = self.left_out[before:]
        folders = sum(entry.reason == _SUB_FOLDER for entry in others)
        hint = f", {folders} of them folders (go through them: --recursive)" if folders else ""
        raise InputError(
            f"{where} has no picture ({', '.join(self.suffixes)}). Received: {len(others)} other "
            f"entries{hint}. Name the files one by one, or another folder."
        )

    def _in_folder(self, folder: pathlib.Path) -> Iterator[PictureFile]:
        if self.recursive:
            yield from self._below(folder)
            return
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            raise InputError(
                f"The folder {str(folder)!r} cannot be listed. Received: {error.strerror}. "
                "Check its permissions."
            ) from error
        yield from map(_listed, filter(self._is_picture, paths))

    def _below(self, root: pathlib.Path) -> Iterator[PictureFile]:
        for folder, names, files in walk(root, self.leave_out):
            if folder != root and os.path.realpath(folder) == self.outputs:
                self.leave_out(folder, "the folder of the outputs")
                names.clear()
                continue
            below = folder.relative_to(root).parts
            for path in filter(self._is_picture, (folder / name for name in files)):
                yield PictureFile(path, str(path), below, is_listed=True)

    def _matching(self, pattern: str) -> Iterator[PictureFile]:
        matches = expand(pattern, self.leave_out)
        for path in sorted(matches):
            if self.recursive and os.path.isdir(path) and not is_hidden(path.name):
                yield from self._below(path)
            elif self._is_picture(path):
                yield _listed(path)

    def _is_picture(self, path: pathlib.Path) -> bool:
        """Return whether a path that a folder or pattern holds is to be read; else note why not."""
        reason = _reason_against(path, self.suffixes)
        if reason:
            self.leave_out(path, reason)
        return reason is None


_SUB_FOLDER = "a folder, and folders are gone through with --recursive"


def _file(path: pathlib.Path) -> PictureFile:
    return PictureFile(path, str(path))


def _listed(path: pathlib.Path) -> PictureFile:
    return PictureFile(path, str(path), is_listed=True)


def _reason_against(path: pathlib.Path, suffixes: Sequence[str]) -> str | None:
    if is_hidden(path.name):
        return "hidden"
    if os.path.isdir(path):
        return _SUB_FOLDER
    if path.is_symlink() and not os.path.exists(path):
        return "a broken link"
    if path.suffix.lower() not in suffixes:
        return f"not a picture by its ending, {path.suffix}" if path.suffix else "without an ending"
    if not os.path.isfile(path):
        return "neither a file nor a folder"
    return None
