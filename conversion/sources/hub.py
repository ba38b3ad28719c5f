"""Files of the Hugging Face Hub, through `huggingface_hub` and its own cache."""

import contextlib
import dataclasses
import errno
import importlib.util
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Self

from kerasvit.cache import is_offline
from kerasvit.conversion.files.sharded import INDEX_SUFFIX, USUAL_FILES, read_index
from kerasvit.conversion.sources.connections import PrivateAddress
from kerasvit.conversion.sources.hub_session import guarded_session
from kerasvit.digests import SHA256, file_sha256
from kerasvit.errors import DownloadError, KerasViTError, OutputError, UsageError

# What `kerasvit push` calls the model.
KERAS_FILE = "model.keras"

_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^/@]+))?(?:/(.+))?")


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file of a repository on the Hub.

    Args:
        repository: "organisation/name".
        filename: path of the file in it; None for the first of the usual names that is there.
        revision: branch, tag or commit; None for the main branch.
    """

    repository: str
    filename: str | None = None
    revision: str | None = None

    @classmethod
    def from_address(cls, address: str) -> Self:
        """Read `hf://organisation/name[@revision][/file]`.

        Raises:
            UsageError: if the address is malformed.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise UsageError(
                "An address on the Hugging Face Hub is hf://organisation/name[@revision][/file]. "
                f"Received: {address!r}. Correct it"
            )
        repository, revision, filename = match.groups()
        return cls(repository, filename, revision)

    @property
    def address(self) -> str:
        """The file's address, as `from_address` reads it."""
        revision = f"@{self.revision}" if self.revision else ""
        filename = f"/{self.filename}" if self.filename else ""
        return f"hf://{self.repository}{revision}{filename}"

    def fetch(self) -> pathlib.Path:
        """Return the file in the Hub's cache, downloaded if it is not there.

        A large file's bytes are compared with the hash that the Hub publishes for it, and a damaged
        copy is downloaded once more. Of an index of shards, all its shards are fetched as well.

        Raises:
            DownloadError: if there is no such file, it can't be reached, the network is forbidden
                and it is not in the cache, or what arrives is not what the Hub publishes.
            OutputError: if the Hub's cache can't be written.
            UsageError: if `huggingface_hub` is not installed.
        """
        import_hub()
        path = self._fetch_file(self.filename) if self.filename else self._fetch_usual()
        if path.name.endswith(INDEX_SUFFIX):
            folder = pathlib.PurePosixPath(self.filename or "").parent
            for shard in read_index(path):
                self._fetch_file(str(folder / shard))
        return path

    def fetch_keras(self) -> pathlib.Path | None:
        """Return the `.keras` file that the address names, or the repository's `model.keras`.

        None if the address names another file, or the repository has none. Raises as `fetch`.
        """
        if self.filename is not None and not self.filename.endswith(".keras"):
            return None
        try:
            return dataclasses.replace(self, filename=self.filename or KERAS_FILE).fetch()
        except _NoSuchFile:
            if self.filename is not None:
                raise
            return None

    def fetch_beside(self, filenames: Iterable[str]) -> None:
        """Fetch the files of these names that lie beside this one, where there are such files.

        Raises:
            DownloadError: if one is there and can't be had.
            OutputError: if the Hub's cache can't be written.
        """
        folder = pathlib.PurePosixPath(self.filename or "").parent
        for filename in filenames:
            with contextlib.suppress(_NoSuchFile):
                self._fetch_file(str(folder / filename))

    def _fetch_usual(self) -> pathlib.Path:
        missing = []
        for filename in USUAL_FILES:
            try:
                return self._fetch_file(filename)
            except _NoSuchFile as error:
                missing.append(error)
        raise missing[0]

    def _fetch_file(self, filename: str) -> pathlib.Path:
        file = dataclasses.replace(self, filename=filename)
        path = file._download()
        if not _is_intact(path) and not is_offline():
            path = file._download(force_download=True)
        if not _is_intact(path):
            raise DownloadError(
                f"{file.address!r} is damaged: its sha256 must be {published_sha256(path)}. "
                f"Received: {file_sha256(path)} in {str(path)!r}. Remove that file, try again"
            )
        return path

    def _download(self, force_download: bool = False) -> pathlib.Path:
        hub, place = import_hub(), (self.repository, self.filename)
        with _errors_naming(self):
            if is_offline():
                # Even with local_files_only=True, hf_hub_download may ask the Hub about its caller.
                path = hub.try_to_load_from_cache(*place, revision=self.revision)
                if not isinstance(path, str):
                    raise _missing_offline(self)
            else:
                more = {"revision": self.revision, "force_download": force_download}
                with guarded_session():
                    path = hub.hf_hub_download(*place, library_name="kerasvit", **more)
        return pathlib.Path(path)

    @property
    def url(self) -> str:
        """The https address of the file."""
        return import_hub().hf_hub_url(
            self.repository, self.filename or USUAL_FILES[0], revision=self.revision
        )


def is_installed() -> bool:
    """Tell whether `huggingface_hub` can be imported."""
    return importlib.util.find_spec("huggingface_hub") is not None


def import_hub():
    """Return the module `huggingface_hub`.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UsageError(
            "A file of the Hugging Face Hub needs the package huggingface_hub. "
            f'Received: {error}. Install it with: pip install "kerasvit[hub]"'
        ) from error
    return huggingface_hub


class _NoSuchFile(DownloadError):
    """The repository has no file of this name; without the network: the cache has none."""


@contextlib.contextmanager
def _errors_naming(file: HubFile) -> Iterator[None]:
    """Turn the Hub's errors into ours, in one line that says which file and what to do."""
    from huggingface_hub import errors

    try:
        yield
    except KerasViTError:
        raise
    except errors.LocalEntryNotFoundError as error:  # neither there nor in the cache
        raise _failure(file, error.__cause__ or error) from error
    except errors.EntryNotFoundError as error:
        raise _NoSuchFile(
            f"{file.address!r} must exist. Received: 404 Not Found from {file.url}. "
            "Look at the repository's list of files"
        ) from error
    except Exception as error:
        raise _translated(file, error) from error


def _missing_offline(file: HubFile) -> DownloadError:
    from huggingface_hub import constants

    return _NoSuchFile(
        f"{file.address!r} must be in the Hub's cache while the network is forbidden. "
        f"Received: no such file in {constants.HF_HUB_CACHE!r}. Unset KERASVIT_OFFLINE and "
        f"HF_HUB_OFFLINE to download it from {file.url}"
    )


def _translated(file: HubFile, error: Exception) -> Exception:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.HFValidationError):
        return UsageError(
            f"{file.address!r} is no address on the Hub. Received: {_words(error)}. Correct it"
        )
    if isinstance(error, errors.GatedRepoError | errors.RepositoryNotFoundError):
        advice = "Check the name; for a gated or private repository, log in with: hf auth login"
        return _failure(file, error, advice)
    if isinstance(error, PrivateAddress):
        return _failure(file, error, "A server of the internet must not lead inside: ask its owner")
    if isinstance(error, OSError) and (
        error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT)
    ):
        return OutputError(
            f"The Hub's cache {constants.HF_HUB_CACHE!r} must be a folder that can be written. "
            f"Received: {error.strerror}. Set HF_HOME to another folder"
        )
    return _failure(file, error)


def _failure(
    file: HubFile, error: BaseException, advice: str = "Check the address and the connection"
) -> DownloadError:
    return DownloadError(
        f"{file.address!r} could not be downloaded from {file.url}. "
        f"Received: {_words(error)}. {advice}"
    )


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def published_sha256(path: pathlib.Path) -> str | None:
    """Return the hash that the Hub publishes for a large file: the name that its cache gives it."""
    blob = pathlib.Path(os.path.realpath(path)).name
    return blob if SHA256.fullmatch(blob) else None


def _is_intact(path: pathlib.Path) -> bool:
    return published_sha256(path) in (None, file_sha256(path))
