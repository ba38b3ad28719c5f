"""What a release record may say, and the reader of TOML files of records that enforces it.

A file holds three tables: `defaults` (keys that its records need not repeat), `preprocessing`
(named profiles) and `releases` (one record for each name; its `preprocessing` names a profile).
"""

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kerasvit.digests import SHA256
from kerasvit.errors import InputError

LAYOUTS = (
    *("timm", "dino", "dino_full", "dino_linear", "dinov2", "dinov2_linear", "deit", "deit3"),
    *("cait", "ijepa", "augreg", "big_vision", "keras"),
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
    _check(file, None, tables, _FILE_RULES, ("releases",))
    profiles, defaults = tables.get("preprocessing", {}), tables.get("defaults", {})
    _check(file, "defaults", defaults, _RECORD_RULES, ())
    for name, profile in profiles.items():
        _check(file, f"preprocessing.{name}", profile, _PREPROCESSING_RULES, _PREPROCESSING_RULES)
    return [_release(file, *item, defaults, profiles) for item in tables["releases"].items()]


def record_error(file: str, record: str | None, problem: str, *received: Any) -> InputError:
    """Return the error of a record that breaks the schema, for the caller to raise."""
    where = f"{file!r}, record {record!r}" if record else f"{file!r}"
    values = "".join(f". Received: {value!r}" for value in received)
    return InputError(f"Release records in {where}: {problem}{values}. Correct the file.")


def _release(
    file: str, name: str, own: Any, defaults: Mapping[str, Any], profiles: Mapping[str, Any]
) -> Release:
    record = {**defaults, **own} if isinstance(own, dict) else own
    _check(file, name, record, _RECORD_RULES, _REQUIRED)
    for problem in _contradictions(name, record, profiles):
        raise record_error(file, name, problem)
    fields = _with_tuples(record)
    preprocessing = _with_tuples(profiles[fields.pop("preprocessing")])
    overrides = {
        "image_shape": (*preprocessing["image_size"], 3),
        **_with_tuples(fields.pop("overrides", {})),
        "num_classes": record["num_classes"],
        **{f"head_{key}": value for key, value in record.get("head", {}).items()},
    }
    return Release(name=name, preprocessing=preprocessing, overrides=overrides, **fields)


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


def _check(
    file: str, name: str | None, table: Any, rules: Mapping[str, Any], required: Iterable[str]
) -> None:
    if not isinstance(table, dict):
        raise record_error(file, name, "must be a table", table)
    for key, value in table.items():
        if key not in rules:
            raise record_error(file, name, f"unknown key {key!r}; the keys are {', '.join(rules)}")
        holds, rule = rules[key]
        if not holds(value):
            raise record_error(file, name, f"{key} must be {rule}", value)
    for key in required:
        if key not in table:
            raise record_error(file, name, f"the key {key!r} is missing")


def _match(pattern: str) -> Callable[[Any], bool]:
    full = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and full(value) is not None


def _one_of(*values: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in values), f"one of {', '.join(values)}"


def _list_of(holds: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and length in (None, len(value)) and all(map(holds, value))
    )


def _positive(value: Any) -> bool:
    return type(value) is int and value > 0


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


_NAME = _match(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TEXT = _match(r"\S(.*\S)?"), "a text of one line"
_URL = _match(r"https://[^\s/]+/\S+"), "an https address"
_TABLE = (lambda value: isinstance(value, dict)), "a table"

_FILE_RULES = {"defaults": _TABLE, "preprocessing": _TABLE, "releases": _TABLE}
_PREPROCESSING_RULES = {
    "image_size": (_list_of(_positive, 2), "[height, width] in pixels"),
    "crop_fraction": ((lambda value: _share(value) and value > 0), "a number in (0, 1]"),
    "crop_mode": _one_of("center", "squash", "border"),
    "interpolation": _one_of("nearest", "bilinear", "bicubic", "lanczos"),
    "mean": (_list_of(_share, 3), "three numbers in [0, 1]"),
    "std": (_list_of(lambda value: _share(value) and value > 0, 3), "three numbers in (0, 1]"),
}


def _head(value: Any) -> bool:
    types = {"blocks": int, "patch_mean": bool, "interleaved": bool}
    return isinstance(value, dict) and {key: type(v) for key, v in value.items()} == types


def _overrides(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "num_classes" not in value
        and ("image_shape" not in value or _list_of(_positive, 3)(value["image_shape"]))
    )


_REQUIRED = ("model", "layout", "num_classes", "preprocessing")
_RECORD_RULES = {
    "model": (_match(r"[a-z][a-z0-9_]*"), "lower-case letters, digits and '_'"),
    "overrides": (_overrides, "a table without num_classes; image_shape has three sizes"),
    "preprocessing": (_NAME, "the name of a profile"),
    "layout": _one_of(*LAYOUTS),
    "num_classes": (lambda value: type(value) is int and value >= 0, "a count"),
    "num_parameters": (_positive, "a positive count"),
    "hub": (_match(r"[\w.-]+/[\w.-]+"), "organisation/name"),
    "hub_filename": _TEXT,
    "url": _URL,
    "url_layout": _one_of(*LAYOUTS),
    "embedded": (lambda value: isinstance(value, bool), "true or false"),
    "sha256": (_match(SHA256.pattern), "64 hexadecimal digits"),
    "sha256_prefix": (_match(r"[0-9a-f]{8,63}"), "8 to 63 hexadecimal digits"),
    "backbone": (_NAME, "the name of a release"),
    "head": (_head, "a table of blocks, patch_mean and interleaved"),
    "licence": _TEXT,
    "reference": _URL,
    "classes": (_NAME, "the name of a list of classes"),
    "class_names": (_list_of(_TEXT[0]), "a list of texts"),
    "aliases": (_list_of(_NAME), "a list of names"),
    "note": _TEXT,
}
