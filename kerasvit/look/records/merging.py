"""One manifest from those of the shards of a run: every picture once, or a line says why not."""

import collections
import os
import pathlib
import re
from typing import Any

from kerasvit.errors import InputError
from kerasvit.look.records.manifest import NAME, Begun, write_manifest

_SHARD = re.compile(r"manifest\.(\d+)-of-(\d+)\.json(\.part)?")


def merge_manifests(folder: str | os.PathLike[str]) -> pathlib.Path:
    """Make one manifest of the manifests that the shards of a run left in a folder.

    Those of the shards stay. A manifest of the same shards that was merged before is replaced.

    Args:
        folder: of the outputs, the same for all shards.

    Returns:
        The manifest, `manifest.json` in the folder.

    Raises:
        InputError: if a shard is missing or did not come to its end, if the shards had other
            models, settings or pictures, or if a picture was drawn twice.
        OutputError: if the manifest cannot be written.
    """
    place = pathlib.Path(folder)
    shards = _read_shards(place)
    first = shards[0]
    for shard in shards[1:]:
        _check_alike(first, shard)
    pictures = [entry for shard in shards for entry in shard["pictures"]]
    names = collections.Counter(entry["file"] for entry in pictures)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice or len(names) != first["shard"]["pictures"]:
        raise InputError(
            f"The shards of a run draw each of its {first['shard']['pictures']} pictures once. "
            f"Received: {len(names)} pictures, {len(twice)} of them twice. Run the shards again"
        )
    before = Begun.read(place)
    earlier = before.earlier if before is not None else []
    if before is not None and "shards" not in before.facts:
        earlier = [*earlier, {key: before.facts[key] for key in before.facts if key != "earlier"}]
    content = {key: first[key] for key in first if key not in ("shard", "pictures", "earlier")}
    content |= {
        "started": min(shard["started"] for shard in shards),
        "shards": len(shards),
        "pictures": sorted(pictures, key=lambda entry: (entry["file"].lower(), entry["file"])),
        "earlier": earlier,
    }
    write_manifest(place / NAME, content)
    return place / NAME


def _read_shards(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return the manifests of all shards in their order."""
    found: dict[int, str] = {}
    counts = set()
    for path in sorted(folder.glob("manifest.*-of-*.json*")):
        match = _SHARD.fullmatch(path.name)
        if match is not None:
            counts.add(int(match[2]))
            found[int(match[1])] = path.name.removesuffix(match[3] or "")
            if match[3]:
                raise InputError(
                    f"A shard is merged when it has come to its end. Received: {path.name!r} of "
                    f"one that was killed or is running. Run it again with --resume"
                )
    count = _one_count(folder, counts)
    missing = [number for number in range(1, count + 1) if number not in found]
    if missing:
        raise InputError(
            f"All {count} shards are merged together. Received: no manifest of "
            f"{', '.join(map(str, missing[:20]))}. Run them: --shard {missing[0]}/{count}"
        )
    shards = []
    for number in range(1, count + 1):
        begun = Begun.read(folder, found[number])
        assert begun is not None
        shard = begun.facts
        _check_shard(shard, found[number])
        if len(shard["pictures"]) != shard["shard"]["own"]:
            raise InputError(
                f"A shard is merged when all its pictures are done. Received: "
                f"{len(shard['pictures'])} of {shard['shard']['own']} in {found[number]!r}. Run it "
                "again with --resume"
            )
        shards.append(shard)
    return shards


def _one_count(folder: pathlib.Path, counts: set[int]) -> int:
    """Return how many shards there are by the names of all manifests."""
    if len(counts) == 1:
        return counts.pop()
    if counts:
        received = f"shards {' and '.join(f'of {count}' for count in sorted(counts))}"
        advice = "Remove the manifests of the other division"
    else:
        received = "no such file" if os.path.isdir(folder) else "a folder that does not exist"
        advice = "Name the folder of the outputs (-o)"
    raise InputError(
        f"The folder {str(folder)!r} must hold the manifests of one run's shards, "
        f"manifest.I-of-N.json. Received: {received}. {advice}"
    )


def _check_shard(content: dict[str, Any], name: str) -> None:
    """Raise `InputError` unless a manifest says all that is merged."""
    shard = content.get("shard")
    numbers = ("number", "own", "pictures")
    if not (
        {"model", "settings"} <= set(content)
        and isinstance(content.get("started"), str)
        and isinstance(shard, dict)
        and all(isinstance(shard.get(key), int) for key in numbers)
        and "listing" in shard
    ):
        raise InputError(
            "A shard's manifest says its model, settings, beginning and share of the pictures. "
            f"Received: {name!r}, which is damaged or no shard's. Run that shard again"
        )


def _check_alike(first: dict[str, Any], other: dict[str, Any]) -> None:
    for what, same in (
        ("model", first["model"] == other["model"]),
        ("settings", first["settings"] == other["settings"]),
        ("pictures", first["shard"]["listing"] == other["shard"]["listing"]),
    ):
        if not same:
            numbers = first["shard"]["number"], other["shard"]["number"]
            raise InputError(
                "The shards of a run have the same model, settings and pictures. "
                f"Received: other {what} in the shards {numbers[0]} and {numbers[1]}. Run both "
                "with the same options, over the same folder"
            )
