"""From what a user names to one checkpoint in timm's names, with all that is known about it."""

import dataclasses
from collections.abc import Callable
from typing import Any

from kerasvit.conversion.facts.beside import Configs, read_configs
from kerasvit.conversion.facts.facts import Facts, implied, stated
from kerasvit.conversion.facts.live import facts_of_module, name_of_module
from kerasvit.conversion.files.checkpoint import Checkpoint, open_checkpoint
from kerasvit.conversion.files.tensors import is_torch_module
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.conversion.names.heads import join, refuse_alone
from kerasvit.conversion.names.unwrapping import unwrap
from kerasvit.conversion.sources.remote import Source, find_source
from kerasvit.errors import UsageError

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Opened:
    """An open checkpoint, and what is known about it beside its tensors.

    Args:
        checkpoint: unwrapped, in timm's names, joined with its linear head.
        stored: the same with its tensors' own names, without the head.
        known: the release or address that decides about the model; None for a file at hand.
        configs: what lies beside the file.
        module: the live module that it is; None for anything else.
        is_joined: whether its head is another file's, which module and configs do not have.
    """

    checkpoint: Checkpoint
    stored: Checkpoint
    known: Source | None
    configs: Configs
    module: Any = None
    is_joined: bool = False

    @property
    def facts(self) -> Facts:
        """What the source says of its network that no tensor says, each with its origin."""
        layout = self.checkpoint.layout or "of the source"
        facts = self.configs.facts | self.checkpoint.facts
        if self.module is not None:
            facts |= facts_of_module(self.module)
        if self.known is not None and self.known.release is not None:
            facts |= _facts_of_release(self.known)
        return facts | implied(layout, self.checkpoint.arguments)

    @property
    def model(self) -> str | None:
        """The architecture's name, where the source knows it."""
        if self.known is not None and self.known.model is not None:
            return self.known.model
        if self.module is not None:
            return name_of_module(self.module)
        return self.configs.model


def _facts_of_release(source: Source) -> Facts:
    origin = f"the release {source.release_name}"
    facts = stated(origin, source.overrides)
    if source.image_shape is not None:
        return facts | stated(origin, {"image_size": source.image_shape})
    return facts


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


def _open_joined(
    source: Any,
    head: Any,
    select: str | None,
    sha256: str | None,
    head_sha256: str | None,
    report: Report,
) -> Opened:
    known = source if isinstance(source, Source) else None
    stored = unwrap(_open(source, sha256, report), select)
    is_release = known is not None and known.release is not None
    configs = Configs() if is_release else read_configs(stored.path)
    module = source if is_torch_module(source) else None
    if head is None:
        refuse_alone(stored)
        return Opened(in_timm_names(stored), stored, known, configs, module)
    head = head if isinstance(head, Source) else find_source(head) or head
    published = None
    if isinstance(head, Source) and head.release is not None:
        known, published = head, head.release.head
    joined = join(in_timm_names(stored), unwrap(_open(head, head_sha256, report)), published)
    return Opened(joined, stored, known, configs, module, is_joined=True)


def _open(source: Any, sha256: str | None, report: Report) -> Checkpoint:
    if isinstance(source, Source):
        return source.open(sha256, report)
    if sha256 is not None and len(sha256) < 64:
        return open_checkpoint(source, sha256_prefix=sha256)
    return open_checkpoint(source, sha256=sha256)
