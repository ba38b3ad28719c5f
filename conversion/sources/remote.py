"""Sources of weights that are not at hand: releases by name, https addresses, the Hub."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from kerasvit.cache import Entry, is_offline, safe_name
from kerasvit.conversion.facts.beside import CONFIGS
from kerasvit.conversion.files import sniffing
from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.files.safetensors import read_safetensors
from kerasvit.conversion.sources import addresses, fetch, hub
from kerasvit.errors import DownloadError, UsageError
from kerasvit.pretrained import is_path
from kerasvit.releases import Release, find_release, load_releases
from kerasvit.releases.licences import licence_of


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a checkpoint comes from, and what is known about it before it is there.

    Args:
        name: what it is called in the cache.
        release: the release that it is; None for weights that no release describes.
        url: address of a file.
        sha256: published digest of the file at `url`, or its first digits.
        hub_file: file on the Hub, which is preferred to `url` where `huggingface_hub` is installed.
    """

    name: str
    release: Release | None = None
    url: str | None = None
    sha256: str | None = None
    hub_file: hub.HubFile | None = None

    @property
    def release_name(self) -> str | None:
        """Name of the release, if it is one."""
        return self.release.name if self.release else None

    @property
    def is_head(self) -> bool:
        """Whether it is a linear head, which is nothing without its backbone."""
        return self.release is not None and self.release.backbone is not None

    @property
    def model(self) -> str | None:
        """Name of the architecture, where a release says it."""
        return self.release.model if self.release else None

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """`(height, width)` of a release whose patch grid is not square; a square one shows."""
        if self.release is None:
            return None
        height, width = self.release.overrides["image_shape"][:2]
        return None if height == width else (height, width)

    @property
    def overrides(self) -> dict[str, Any]:
        """Further arguments of the model that a release decides and the file does not show."""
        known = self.release.overrides if self.release else {}
        return {k: v for k, v in known.items() if k not in ("image_shape", "num_classes")}

    @property
    def identity(self) -> list[Any]:
        """What tells this source from others, as plain values."""
        address = self.hub_file.address if self.hub_file else None
        decided = (self.model, self.image_shape, self.overrides)
        return [self.release_name, self.url, self.sha256, address, *decided]

    def open(
        self, sha256: str | None = None, report: Callable[[str], None] = lambda line: None
    ) -> Checkpoint:
        """Return the checkpoint, downloaded unless it is in the cache.

        Args:
            sha256: digest that the file must have, instead of the published one.
            report: called with lines that say under which licence the weights are, before any of
                it is downloaded, and where the file comes from.

        Raises:
            DownloadError: if the file can't be had.
            InputError: if it is damaged, unsafe, or no checkpoint.
            OutputError: if the cache can't be written.
            UsageError: if the release can't be converted, or a package is missing.
        """
        self.check()
        if self.release is not None and self.release.licence:
            report(f"The weights of {self.release.name} are under {licence_of(self.release)}.")
        address, path, published = self._fetch(fetch.check_digest(sha256))
        report(f"Took {address!r} from {str(path)!r}.")
        checkpoint = open_checkpoint(path, sha256_prefix=published)
        notes = (f"Taken from {address}.", *checkpoint.notes)
        return dataclasses.replace(checkpoint, notes=notes)

    def _fetch(self, sha256: str | None) -> tuple[str, pathlib.Path, str | None]:
        """Return the address to show, the file, and the digest that it must have."""
        if self.hub_file and (self.url is None or hub.is_installed()):
            path = self.hub_file.fetch()
            if self.release is None:
                self.hub_file.fetch_beside(CONFIGS)
            return self.hub_file.address, path, sha256 or hub.published_sha256(path)
        if self.url is None:
            raise UsageError(f"{self.name!r} has no address. Received: neither hub nor url")
        sha256 = sha256 or self.sha256
        return addresses.shown(self.url), download(self.url, sha256), sha256

    def check(self) -> None:
        """Raise `UsageError` for a release that can't be converted, before it is downloaded."""
        from kerasvit.models import factory

        if self.release is None:
            return
        if self.release.embedded:
            raise UsageError(
                "A release in the package is converted already. "
                f"Received: {self.release.name!r}. Load it with kerasvit.from_pretrained"
            )
        factory.variant(self.release.model)


def find_source(source: Any) -> Source | None:
    """Return where to get a checkpoint that is named or addressed; None for one at hand.

    Args:
        source: name of a release, "https://...", "hf://organisation/name[@revision][/file]"; or
            anything else that `kerasvit.conversion.files.checkpoint.open_checkpoint` takes.

    Raises:
        UsageError: if it is an address of another kind, or no path and no release has the name.
    """
    if not isinstance(source, str) or is_path(source):
        return None
    if source.startswith("hf://"):
        return _on_hub(hub.HubFile.from_address(source))
    if "://" in source:
        return _at_address(source)
    release = find_release(source)
    hub_file = hub.HubFile(release.hub, release.hub_filename) if release.hub else None
    published = release.sha256 or release.sha256_prefix
    return Source(release.name, release, release.url, published, hub_file)


def published_model(source: str) -> pathlib.Path | None:
    """Return the `.keras` file of an address on the Hub, where it has one and is no release's.

    Args:
        source: as for `find_source`.
    """
    if not source.startswith("hf://"):
        return None
    file = hub.HubFile.from_address(source)
    return file.fetch_keras() if _on_hub(file).release is None else None


def download(url: str, sha256: str | None = None) -> pathlib.Path:
    """Return the file at an address, from the cache if it was downloaded before.

    Args:
        url: an https address.
        sha256: the published digest, or its first digits; the cached file must have it too.

    Raises:
        DownloadError: if it can't be had, or is no whole checkpoint.
        OutputError: if the cache can't be written.
    """
    name = addresses.file_name(url)
    entry = Entry.of("downloads", name, url, sha256)
    # A disk that loses a bit keeps the file's time, and safetensors has no checksums.
    path = entry.find(thorough=True)
    if path is not None:
        return path
    if is_offline():
        raise DownloadError(
            f"The file {name!r} must be in the cache while the network is forbidden. Received: no "
            f"intact file in {str(entry.folder)!r}. Unset KERASVIT_OFFLINE and HF_HUB_OFFLINE to "
            f"download it from {addresses.shown(url)}"
        )
    with entry.fill(safe_name(name)) as new:
        fetch.fetch(url, new, sha256=sha256, check=lambda file: _check_whole(file, url))
    return entry.folder / safe_name(name)


def _on_hub(file: hub.HubFile) -> Source:
    for release in load_releases().values():
        own = hub.HubFile(release.hub or "", release.hub_filename)
        if file in (own, dataclasses.replace(own, filename=own.filename or "model.safetensors")):
            return Source(release.name, release, hub_file=file)
    return Source(file.repository.split("/")[1], hub_file=file)


def _at_address(url: str) -> Source:
    if not addresses.is_allowed(url):
        raise UsageError(
            "Weights come from an https:// or hf:// address. "
            f"Received: {addresses.shown(url)!r}. Pass one, or the path of a file that you have"
        )
    # Where timm's record and the publisher's own name one file, the publisher's describes it.
    alike = [release for release in load_releases().values() if release.url == url]
    for release in sorted(alike, key=lambda release: release.hub is not None):
        return Source(release.name, release, url, release.sha256 or release.sha256_prefix)
    return Source(addresses.file_name(url), url=url)


def _check_whole(path: pathlib.Path, url: str) -> None:
    """Refuse what would only disappoint later, above all an error page in place of the file."""
    try:
        kind = sniffing.sniff(path)
        if kind in ("torch", "npz"):
            sniffing.check_archive(path)
        elif kind == "safetensors":
            read_safetensors(path)
    except Exception as error:
        reason = str(error).replace(repr(str(path)), "the file")
        raise DownloadError(
            f"{addresses.shown(url)!r} gave no whole checkpoint: {reason}"
        ) from error
