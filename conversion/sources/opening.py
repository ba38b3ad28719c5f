"""From what a user names to one checkpoint in timm's names, its linear head included."""

import dataclasses
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.heads import join, refuse_alone
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.conversion.sources.remote import Source, find_source
from kerasvit.errors import UsageError

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Opened:
    """An open checkpoint, and what the release that it is says about it.

    Args:
        checkpoint: unwrapped, in timm's names, joined with its linear head.
        known: the release or address that decides about the model; None for a file at hand.
    """

    checkpoint: Checkpoint
    known: Source | None


def open_source(
    source: Any,
    head: Any = None,
    *,
    select: str | None = None,
    sha256: str | None = None,
    report: Report = lambda line: None,
) -> Opened:
    """Open a checkpoint, downloaded if need be, and join it with a linear head.

    Args:
        source: what `kerasvit.conversion.convert` takes.
        head: a linear head, likewise; the release of a head brings its backbone and needs none.
        select: network of a training checkpoint.
        sha256: published digest of the file that `source` names, or its first digits.
        report: called with each line that says what is being done.

    Raises:
        DownloadError: if a file is elsewhere and can't be had.
        InputError: if a file is missing, damaged, unsafe, or no checkpoint.
        OutputError: if the cache can't be written.
        UsageError: if an argument is wrong, or `source` is a head whose backbone is not known.
    """
    named = find_source(source) or source
    if not (isinstance(named, Source) and named.is_head):
        return _open_joined(named, head, select, sha256, None, report)
    if head is not None:
        raise UsageError(
            f"{named.name!r} is a linear head by itself. Received: another head too. "
            f"Pass the backbone {named.release.backbone!r} as the source, or leave head out"
        )
    return _open_joined(find_source(named.release.backbone), named, select, None, sha256, report)


def _open_joined(source, head, select, sha256, head_sha256, report: Report) -> Opened:
    known = source if isinstance(source, Source) else None
    unwrapped = unwrap(_open(source, sha256, report), select)
    if head is None:
        refuse_alone(unwrapped)
        return Opened(in_timm_names(unwrapped), known)
    head = head if isinstance(head, Source) else find_source(head) or head
    published = None
    if isinstance(head, Source) and head.release is not None:
        known, published = head, head.release.head
    opened = unwrap(_open(head, head_sha256, report))
    return Opened(join(in_timm_names(unwrapped), opened, published), known)


def _open(source: Any, sha256: str | None, report: Report) -> Checkpoint:
    if isinstance(source, Source):
        return source.open(sha256, report)
    if sha256 is not None and len(sha256) < 64:
        return open_checkpoint(source, sha256_prefix=sha256)
    return open_checkpoint(source, sha256=sha256)
