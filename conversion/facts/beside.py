"""The configs that lie beside a checkpoint: transformers' and timm's, and how pictures are made."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.facts import huggingface, timm
from kerasvit.conversion.facts.facts import Facts, implied, stated
from kerasvit.conversion.facts.pictures import of_preprocessor
from kerasvit.errors import InputError
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
    pictures = of_preprocessor(preprocessor)
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
        facts = timm.of_config(config, origin)
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
        facts = huggingface.of_config(part, origin)
        return Configs("huggingface", part, config, stated(origin, facts), (note,))
    return Configs(notes=(f"Passed over {origin}, which describes no ViT that is known.",))


def _json(path: pathlib.Path) -> Mapping[str, Any] | None:
    """Return the mapping in a file; None where there is no such file."""
    if not path.is_file():
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
