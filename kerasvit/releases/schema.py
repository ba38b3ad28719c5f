"""What a release record may say, and the reader of TOML files of records that enforces it.

A file holds three tables: `defaults` (keys that its records need not repeat), `preprocessing`
(named profiles) and `releases` (one record for each name; its `preprocessing` names a profile).
"""

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from kerasvit.digests import SHA256
from kerasvit.errors import InputError
from kerasvit.fields import (
    FLAG,
    TABLE,
    Rule,
    is_list,
    is_whole,
    matching,
    numbers,
    one_of,
    problem,
    read_table,
)
from kerasvit.images.rules import PREPROCESSING_RULES

LAYOUTS = (
    *("timm", "dino", "dino_full", "dino_linear", "dinov2", "dinov2_linear", "deit", "deit3"),
    *("dinov3", "sapiens2", "cait", "xcit", "ijepa", "augreg", "big_vision", "keras"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """Everything that is known about one published set of weights before it is downloaded.

    Attributes:
        name: timm's name and tag, such as "cait_xxs24_224.fb_dist_in1k", or the upstream name,
            such as "dino_vits8".
        model: name of the architecture, for `kerasvit.create_model`.
        overrides: arguments for `create_model`; always `num_classes` and `image_shape`, the
            `(height, width, channels)` that the position embedding is stored for; what `head` says
            where there is one.
        preprocessing: arguments of `kerasvit.images.Preprocessing`: `image_size` (height, width),
            `crop_fraction`, `crop_mode`, `interpolation`, `mean` and `std` on the scale [0, 1].
        layout: naming of the tensors in the file, one of `LAYOUTS`: in the hub's file where there
            is a hub, else in that of the URL, else in the embedded one.
        num_classes: length of the model's output; 0 for a backbone without a head.
        num_parameters: number of parameters of the model, its linear head included; None where
            an embedded record does not say.
        hub: repository on the Hugging Face Hub, "organisation/name".
        hub_filename: file in `hub`; None for the Hub's usual "model.safetensors".
        url: https address of a file.
        url_layout: layout of the file at `url` where there is a hub as well.
        embedded: whether the weights lie in the package, as `pretrained/NAME.keras`.
        sha256: hash of the file at `url` (or embedded) as published, 64 hexadecimal digits.
        sha256_prefix: the first digits of that hash, where only these are published.
        backbone: name of the release whose features a linear head takes.
        head: what the linear head takes: `blocks`, the number of last blocks whose class token
            (after the final norm) is concatenated in block order; `patch_mean`, whether the mean
            patch token of the last follows; `interleaved`, element by element instead.
        licence: identifier of the licence as published; None if none is stated.
        reference: address of the paper or repository that describes the weights.
        classes: name of the list of classes, such as "imagenet-1k".
        class_names: the classes themselves, in the order of the model's output.
        aliases: other names of this release.
        note: what else the publisher says.
    """

    name: str
    model: str
    overrides: dict[str, Any] = dataclasses.field(hash=False)
    preprocessing: dict[str, Any] = dataclasses.field(hash=False)
    layout: str
    num_classes: int
    num_parameters: int | None = None
    hub: str | None = None
    hub_filename: str | None = None
    url: str | None = None
    url_layout: str | None = None
    embedded: bool = False
    sha256: str | None = None
    sha256_prefix: str | None = None
    backbone: str | None = None
    head: dict[str, Any] | None = dataclasses.field(default=None, hash=False)
    licence: str | None = None
    reference: str | None = None
    classes: str | None = None
    class_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str | None = None


def parse_releases(text: str, file: str) -> list[Release]:
    """Read the records of one TOML file.

    Args:
        text: contents of the file.
        file: its name, for messages.

    Raises:
        InputError: if the text is not TOML, or a key is unknown, missing or out of its range; the
            message names the file and the record.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise record_error(file, None, f"not valid TOML: {error}") from error
    read_table(tables, _FILE_RULES, _place(file), ("releases",))
    defaults = tables.get("defaults", {})
    read_table(defaults, _RECORD_RULES, _place(file, "defaults"))
    profiles = {
        name: read_table(
            profile, PREPROCESSING_RULES, _place(file, f"preprocessing.{name}"), PREPROCESSING_RULES
        )
        for name, profile in tables.get("preprocessing", {}).items()
    }
    return [
        _release(file, name, record, defaults, profiles)
        for name, record in tables["releases"].items()
    ]


def record_error(file: str, record: str | None, rule: str, *received: Any) -> InputError:
    """Return the error of a record that breaks the schema, for the caller to raise."""
    return problem(_place(file, record), rule, *received)


def _place(file: str, record: str | None = None) -> str:
    return f"Release records in {file!r}" + (f", record {record!r}" if record else "")


def _release(
    file: str, name: str, own: Any, defaults: Mapping[str, Any], profiles: Mapping[str, Any]
) -> Release:
    record = {**defaults, **own} if isinstance(own, dict) else own
    read_table(record, _RECORD_RULES, _place(file, name), _REQUIRED)
    for rule in _contradictions(name, record, profiles):
        raise record_error(file, name, rule)
    fields = _with_tuples(record)
    preprocessing = profiles[fields.pop("preprocessing")]
    overrides = {
        "image_shape": (*preprocessing["image_size"], 3),
        **_with_tuples(fields.pop("overrides", {})),
        "num_classes": record["num_classes"],
        **_head_arguments(record.get("head", {})),
    }
    return Release(name=name, preprocessing=preprocessing, overrides=overrides, **fields)


# What a linear head takes that is nothing but the model's own feature.
_PLAIN_HEAD = {"blocks": 1, "patch_mean": False, "interleaved": False}


def _head_arguments(head: Mapping[str, Any]) -> dict[str, Any]:
    return {f"head_{key}": v for key, v in head.items() if head != _PLAIN_HEAD}


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _contradictions(
    name: str, record: Mapping[str, Any], profiles: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with a record whose values are each right by themselves."""
    sources = {key for key in ("hub", "url", "embedded") if record.get(key)}
    if not sources or ("embedded" in sources and len(sources) > 1):
        yield "the source must be hub, url or both, or else embedded alone"
    if not _NAME(name):
        yield "the name must be letters, digits, '_', '.' and '-'"
    if record["preprocessing"] not in profiles:
        yield f"preprocessing must be one of the file's profiles: {', '.join(profiles)}"
    if "num_parameters" not in record and "embedded" not in sources:
        yield "the key 'num_parameters' is missing"
    if ("url_layout" in record) != ({"hub", "url"} <= sources):
        yield "url_layout belongs to the records with both hub and url, and to all of them"
    if "hub_filename" in record and "hub" not in sources:
        yield "hub_filename needs hub"
    if ("sha256" in record or "sha256_prefix" in record) and sources == {"hub"}:
        yield "a hash is that of the file at url, or of the embedded one"
    if ("backbone" in record) != ("head" in record):
        yield "backbone and head belong together"
    if "class_names" in record and len(record["class_names"]) != record["num_classes"]:
        yield "class_names must have num_classes names"


_NAME = matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TEXT = Rule(matching(r"\S(.*\S)?"), "a text of one line")
_URL = Rule(matching(r"https://[^\s/]+/\S+"), "an https address")
_FILE_RULES = {"defaults": TABLE, "preprocessing": TABLE, "releases": TABLE}


def _head(value: Any) -> bool:
    types = {"blocks": int, "patch_mean": bool, "interleaved": bool}
    return isinstance(value, dict) and {key: type(v) for key, v in value.items()} == types


def _overrides(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "num_classes" not in value
        and ("image_shape" not in value or numbers(3, 1, whole=True).holds(value["image_shape"]))
    )


_REQUIRED = ("model", "layout", "num_classes", "preprocessing")
_RECORD_RULES = {
    "model": Rule(matching(r"[a-z][a-z0-9_]*"), "lower-case letters, digits and '_'"),
    "overrides": Rule(_overrides, "a table without num_classes; image_shape has three sizes"),
    "preprocessing": Rule(_NAME, "the name of a profile"),
    "layout": one_of(*LAYOUTS),
    "num_classes": Rule(lambda value: is_whole(value, 0), "a count"),
    "num_parameters": Rule(lambda value: is_whole(value, 1), "a positive count"),
    "hub": Rule(matching(r"[\w.-]+/[\w.-]+"), "organisation/name"),
    "hub_filename": _TEXT,
    "url": _URL,
    "url_layout": one_of(*LAYOUTS),
    "embedded": FLAG,
    "sha256": Rule(matching(SHA256.pattern), "64 hexadecimal digits"),
    "sha256_prefix": Rule(matching(r"[0-9a-f]{8,63}"), "8 to 63 hexadecimal digits"),
    "backbone": Rule(_NAME, "the name of a release"),
    "head": Rule(_head, "a table of blocks, patch_mean and interleaved"),
    "licence": _TEXT,
    "reference": _URL,
    "classes": Rule(_NAME, "the name of a list of classes"),
    "class_names": Rule(lambda value: is_list(value, _TEXT.holds), "a list of texts"),
    "aliases": Rule(lambda value: is_list(value, _NAME), "a list of names"),
    "note": _TEXT,
}
