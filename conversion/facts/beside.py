"""The configs that lie beside a checkpoint: transformers' and timm's, and how pictures are made."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasvit.conversion.facts import huggingface, timm
from kerasvit.conversion.facts.facts import Facts, implied, stated
from kerasvit.conversion.facts.pictures import of_preprocessor
from kerasvit.errors import InputError
from kerasvit.fields import is_list, is_number, is_whole
from kerasvit.untrusted.texts import read_json

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
CONFIGS = (CONFIG, PREPROCESSOR)
# The names of 21 841 classes need about 2 MiB.
_MAX_BYTES = 32 * 2**20
_PICTURES_OF_THE_TAG = ("input_size",)


@dataclasses.dataclass(frozen=True)
class Configs:
    """What lies beside a checkpoint.

    Args:
        kind: "huggingface" or "timm", by what config.json describes; None without one that is
            known.
        config: config.json, of a joint model the part of its network of pictures.
        whole: config.json as it is.
        facts: everything that the configs say.
        notes: what was read or passed over, in sentences.
    """

    kind: str | None = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    whole: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Facts = dataclasses.field(default_factory=Facts)
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> str | None:
        """The name of the architecture, which timm's config says."""
        return self.config["architecture"] if self.kind == "timm" else None


def read_configs(path: pathlib.Path | None) -> Configs:
    """Read the configs beside a checkpoint.

    Args:
        path: the checkpoint; None for weights in memory, which have none.

    Raises:
        InputError: if a config is no JSON, or asks for what no model of this package has.
    """
    if path is None:
        return Configs()
    configs = _of_network(_json(path.parent / CONFIG), CONFIG)
    preprocessor = _json(path.parent / PREPROCESSOR)
    if preprocessor is None or configs.kind is None:
        return configs
    with _types_named(PREPROCESSOR):
        pictures = of_preprocessor(preprocessor)
        _check(pictures)
    return dataclasses.replace(
        configs,
        facts=configs.facts | stated(PREPROCESSOR, pictures),
        notes=(*configs.notes, f"Read {PREPROCESSOR} beside the weights."),
    )


def _of_network(config: Mapping[str, Any] | None, origin: str) -> Configs:
    if config is None:
        return Configs()
    note = f"Read {origin} beside the weights."
    if timm.is_config(config):
        with _types_named(origin):
            facts = timm.of_config(config, origin)
            _check(facts)
        size = facts.get("input_size")
        # What a fine-tune on another size may have left as it was.
        of_the_tag = {} if size is None else {"image_size": size}
        return Configs(
            "timm",
            config,
            config,
            stated(origin, facts) | implied("of timm's pretrained_cfg", of_the_tag),
            (note,),
        )
    part = huggingface.vision_config(config)
    if part is not None:
        with _types_named(origin):
            facts = huggingface.of_config(part, origin)
            _check(facts)
        return Configs("huggingface", part, config, stated(origin, facts), (note,))
    return Configs(notes=(f"Passed over {origin}, which describes no ViT that is known.",))


@contextlib.contextmanager
def _types_named(origin: str) -> Iterator[None]:
    """Turn what values of other types raise into an `InputError` of one line."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{origin} lies beside the weights and must say what they are. Received: "
            f"{' '.join(str(error).split())[:200]!r}. Get it again, or move it elsewhere"
        ) from error


def _is_pair(value: Any) -> bool:
    return is_list(value, lambda side: is_whole(side, 1), 2)


# What facts must be; others have their rules where they are used.
_RULES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("num_heads", "hidden_dim", "mlp_dim", "channels"), lambda v: is_whole(v, 1)),
    **dict.fromkeys(("num_layers", "num_registers", "num_class_layers"), lambda v: is_whole(v, 0)),
    **dict.fromkeys(("layer_norm_epsilon", "crop_fraction"), lambda v: is_number(v, 0)),
    **dict.fromkeys(("image_size", "patch_size", "input_size"), _is_pair),
    **dict.fromkeys(("mean", "std"), lambda v: is_list(v, is_number)),
    **dict.fromkeys(("crop_mode", "problem_type"), lambda v: isinstance(v, str)),
}


def _check(facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        if name in _RULES and not _RULES[name](value):
            raise ValueError(f"{name}={str(value)[:100]}")


def _json(path: pathlib.Path) -> Mapping[str, Any] | None:
    """Return the mapping in a file; None where there is no such file."""
    if not os.path.isfile(path):
        return None
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        content = read_json(path.read_bytes(), _MAX_BYTES)
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} lies beside the weights and must say what they are, in JSON. Received: "
            f"{type(error).__name__}: {str(error)[:200]}. Get it again, or move it elsewhere"
        ) from error
    return content
