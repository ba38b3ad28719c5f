"""The record of a run beside its outputs: settings, model, and what became of each picture."""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from kerasvit import __version__
from kerasvit.errors import KerasViTError, OutputError, UsageError
from kerasvit.files import atomic_path
from kerasvit.look.records.journal import Journal, whole_lines
from kerasvit.untrusted.texts import read_json

NAME = "manifest.json"
FORMAT = "kerasvit manifest, version 1"
# Beside a manifest that is not there yet: a line for each picture that is done.
_JOURNAL = ".part"
# What two runs must share for one to go on with the other.
_SAME = ("model", "settings", "shard")


@dataclasses.dataclass(frozen=True)
class Begun:
    """A run that ended, or was ended, before all its pictures were drawn.

    Args:
        facts: its settings and its model.
        entries: what became of the pictures that it came to, by the pictures' names.
        earlier: the runs before it.
    """

    facts: dict[str, Any]
    entries: dict[str, dict[str, Any]]
    earlier: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: pathlib.Path, name: str = NAME) -> "Begun | None":
        """Return the last run of a folder, from its journal if it was killed; None without one.

        Raises:
            OutputError: if what stands there is something else.
        """
        content = _read_manifest(folder / name)
        journal = folder / f"{name}{_JOURNAL}"
        if os.path.isfile(journal):
            lines = whole_lines(journal, FORMAT)
            if lines:
                chain = _chain(content)
                return cls(lines[0], {line["file"]: line for line in lines[1:]}, chain)
        if content is None:
            return None
        entries = {entry["file"]: entry for entry in content["pictures"]}
        return cls(content, entries, content["earlier"])

    def check_same(self, facts: dict[str, Any]) -> None:
        """See that a run with these facts may go on where this one stopped.

        Raises:
            UsageError: if its model or its settings are others.
        """
        plain = json.loads(_text(facts))
        for name in _SAME:
            before, now = self.facts.get(name), plain.get(name)
            if before == now:
                continue
            names = [name]
            if isinstance(before, dict) and isinstance(now, dict):
                names = [key for key in {**before, **now} if before.get(key) != now.get(key)]
            raise UsageError(
                "A run goes on with the model and the settings that it was begun with. "
                f"Received: a change of {', '.join(names)}. Choose another folder, or start anew: "
                "--overwrite"
            )


class Manifest:
    """Collects what a run did, and writes it when the run ends, also when it ends early.

    The file holds the newest run; those that wrote into the same folder before are kept under
    `earlier`, oldest first. While a run goes on, each picture is noted in a journal beside it, so
    that a run that was killed can go on.

    Args:
        folder: of the outputs.
        facts: what is known before the run: settings and model.
        name: of the file.
        begun: the run that goes on, if one does.
        done: its entries that stand.

    Raises:
        OutputError: if the folder holds a file of that name that is something else.
        UsageError: if the run that goes on had another model or other settings.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        facts: dict[str, Any],
        name: str = NAME,
        begun: Begun | None = None,
        done: Iterable[dict[str, Any]] = (),
    ) -> None:
        self.path = folder / name
        if begun is not None:
            begun.check_same(facts)
            self.earlier = begun.earlier
        else:
            self.earlier = _earlier(self.path)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.content = {"format": FORMAT, "version": __version__, "started": started, **facts}
        self.pictures: list[dict[str, Any]] = list(done)
        self._goes_on = begun is not None
        self._journal = Journal(folder / f"{name}{_JOURNAL}")
        self._is_first = not os.path.exists(self._journal.path)

    def __enter__(self) -> "Manifest":
        # Before any file is there: a run that is killed at its first picture goes on too. Another
        # run's journal stands until this one has drawn something.
        if self._goes_on or self._is_first:
            self._begin_journal()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._journal.close()
        is_empty_shard = "shard" in self.content and error is None
        if not self.pictures and not is_empty_shard:
            if self._is_first:
                self._journal.remove()
            return
        # An error that ends the run is the one to tell of.
        with contextlib.suppress(*((OutputError,) if error else ())):
            content = {**self.content, "pictures": self.pictures, "earlier": self.earlier}
            write_manifest(self.path, content)
            self._journal.remove()

    def add(self, name: str | os.PathLike[str], **facts: Any) -> None:
        """Note what became of a picture.

        Args:
            name: the picture's path, or its address.
            **facts: values that JSON can hold.
        """
        entry = {"file": str(name), **facts}
        if not self._journal.is_begun:
            self._begin_journal()
        self.pictures.append(entry)
        self._journal.note(_text(entry))

    def fail(self, name: str | os.PathLike[str], error: KerasViTError) -> None:
        """Note that a picture failed."""
        self.add(name, error=str(error))

    def _begin_journal(self) -> None:
        self._journal.begin(map(_text, (self.content, *self.pictures)))


def write_manifest(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Write a manifest, whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(_text(content, indent=1) + "\n", encoding="ascii")


def outputs_of(folder: pathlib.Path) -> set[str]:
    """Return the real paths of all files that the runs of a folder wrote, its manifests too."""
    made: set[str] = set()
    for path in (*folder.glob("manifest*.json"), *folder.glob(f"manifest*.json{_JOURNAL}")):
        made.add(os.path.realpath(path))
        with contextlib.suppress(OutputError, TypeError):
            if path.suffix == ".json":
                runs = [run["pictures"] for run in _chain(_read_manifest(path))]
            else:
                runs = [whole_lines(path, FORMAT)[1:]]
            for entries in runs:
                for entry in entries:
                    names = entry.get("outputs", [])
                    made |= {os.path.realpath(folder / name) for name in names}
    return made


def _read_manifest(path: pathlib.Path) -> dict[str, Any] | None:
    """Return a manifest's content; None where there is none."""
    if not os.path.exists(path):
        return None
    try:
        text = path.read_text(encoding="utf-8")
        content = read_json(text, len(text))
        if not isinstance(content["earlier"], list):
            raise ValueError("a list of earlier runs that is none")
        if content["format"] != FORMAT or not all(map(_is_run, [content, *content["earlier"]])):
            raise ValueError("another format")
        return content
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"The manifest of this run would replace {str(path)!r}, which is something else. "
            f"Received: {' '.join(str(error).split())}. Choose another folder"
        ) from error


def _is_run(content: Any) -> bool:
    entries = content["pictures"]
    return isinstance(entries, list) and all(isinstance(entry["file"], str) for entry in entries)


def _earlier(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the runs of a manifest that is there already."""
    return _chain(_read_manifest(path))


def _chain(content: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the runs that a manifest tells of, the newest last."""
    if content is None:
        return []
    newest = {key: value for key, value in content.items() if key != "earlier"}
    return [*content["earlier"], newest]


def _text(content: dict[str, Any], indent: int | None = None) -> str:
    # Escapes alone hold names that are no valid Unicode.
    return json.dumps(content, indent=indent, ensure_ascii=True, default=_plain)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as JSON knows them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
