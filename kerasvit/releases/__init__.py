"""The catalogue of pretrained weights: timm's, and originals of DINO to v3, DeiT, CaiT and XCiT.

The records are data in `kerasvit.configs`; `kerasvit.releases.schema` says what a record may hold.
"""

import collections
import difflib
import fnmatch
import functools
import importlib.resources

from kerasvit.errors import UsageError
from kerasvit.releases.schema import LAYOUTS, Release, parse_releases, record_error

__all__ = [
    "EMBEDDED",
    "FILES",
    "LAYOUTS",
    "Release",
    "find_release",
    "list_releases",
    "load_releases",
]

# The release whose weights lie in the package: what runs where nothing else is named.
EMBEDDED = "cait_nano_patch4_32.cifar10"

FILES = (
    "vit.toml",
    "deit.toml",
    "cait.toml",
    "eva.toml",
    "beit.toml",
    "dino.toml",
    "dinov2.toml",
    "xcit.toml",
    "dino_xcit.toml",
    "dinov3.toml",
    "originals.toml",
    "cifar10.toml",
)


def load_releases() -> dict[str, Release]:
    """Return all releases by name, in the order of the files.

    Raises:
        InputError: if a file breaks the schema; the message names the file and the record.
    """
    return dict(_load()[0])


def find_release(name: str) -> Release:
    """Return the release of this name or alias.

    Raises:
        UsageError: if there is none; the message lists the closest names.
    """
    releases, aliases = _load()
    release = releases.get(aliases.get(name, name))
    if release is not None:
        return release
    tags = [known for known in releases if known.startswith(f"{name}.")]
    near = tags or difflib.get_close_matches(name, [*releases, *aliases], n=5)
    hint = f"Did you mean {', '.join(map(repr, near[:5]))}? " if near else ""
    raise UsageError(
        "A release is named as in timm, with its tag, or as upstream. "
        f"Received: {name!r}. {hint}All of them: kerasvit list --pretrained"
    )


def list_releases(pattern: str = "*") -> list[Release]:
    """Return the releases whose name or an alias matches a shell pattern, in the files' order.

    Args:
        pattern: such as `"cait*"` or `"*.dino"`; upper and lower case differ.
    """
    return [
        release
        for release in load_releases().values()
        if any(fnmatch.fnmatchcase(name, pattern) for name in (release.name, *release.aliases))
    ]


@functools.cache
def _load() -> tuple[dict[str, Release], dict[str, str]]:
    """Return the releases by name, and the name of each alias."""
    folder = importlib.resources.files("kerasvit.configs")
    return _index({file: (folder / file).read_text(encoding="utf-8") for file in FILES})


def _index(texts: dict[str, str]) -> tuple[dict[str, Release], dict[str, str]]:
    records = [
        (file, record) for file, text in texts.items() for record in parse_releases(text, file)
    ]
    uses = collections.Counter(
        name for _, release in records for name in (release.name, *release.aliases)
    )
    releases = {release.name: release for _, release in records}
    for file, release in records:
        for name in (release.name, *release.aliases):
            if uses[name] > 1:
                raise record_error(file, release.name, f"the name {name!r} is used twice")
        if release.backbone is not None and release.backbone not in releases:
            raise record_error(file, release.name, "backbone must be a release", release.backbone)
    return releases, {alias: record.name for _, record in records for alias in record.aliases}
