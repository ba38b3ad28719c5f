"""The options of a conversion on the command line: one table, `convert`'s keywords."""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

from kerasvit.cli.options import at_least
from kerasvit.cli.values import parse_number

# Option, keyword, what it takes, and what it is.
_NETWORK: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("--num-heads", "num_heads", {"type": at_least(1)}, "attention heads"),
    ("--hidden-dim", "hidden_dim", {"type": at_least(1)}, "width of a token"),
    ("--mlp-dim", "mlp_dim", {"type": at_least(1)}, "width of the MLPs"),
    ("--num-layers", "num_layers", {"type": at_least(1)}, "number of blocks"),
    ("--patch-size", "patch_size", {"type": at_least(1)}, "sides of a patch in pixels"),
    (
        "--image-size",
        "image_shape",
        {"type": at_least(1), "nargs": 2, "metavar": ("HEIGHT", "WIDTH")},
        "size that it was trained with, where its positions can be of several grids",
    ),
    ("--channels", "channels", {"type": at_least(1)}, "channels of the images"),
    ("--epsilon", "layer_norm_epsilon", {"type": float}, "of the layer norms, such as 1e-12"),
    ("--activation", "activation", {}, "gelu, gelu_tanh, quick_gelu, silu or relu"),
    ("--layer-scale", "layer_scale_init_value", {"type": float}, "start of LayerScale's factors"),
    ("--registers", "num_registers", {"type": at_least(0)}, "register tokens"),
    ("--pooling", "pooling", {}, "class, average, max, average_max or attention"),
    (
        "--rope-periods",
        "rope_periods",
        {"choices": ("float32", "bfloat16")},
        "of DINOv3's rotary positions, where the file holds none",
    ),
)
_THREE = {"type": float, "nargs": "+", "metavar": "VALUE"}
_PICTURES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("--mean", "mean", _THREE, "mean of each channel, of pixels in [0, 1]"),
    ("--std", "std", _THREE, "standard deviation of each channel, likewise"),
    ("--crop", "crop_fraction", {"type": float}, "share of the resized picture, such as 0.875"),
    ("--interpolation", "interpolation", {}, "bicubic, bilinear, lanczos, ... of the resizing"),
    ("--class-names", "class_names", {"metavar": "FILE"}, "text file with a class name a line"),
    (
        "--problem-type",
        "problem_type",
        {"metavar": "TYPE"},
        "single_label_classification (softmax), multi_label_classification (sigmoid) or "
        "regression; one logit of a classifier is a yes or no",
    ),
)


def add_conversion_options(parser: argparse.ArgumentParser) -> None:
    """Add what a user may say of a checkpoint's network and of its pictures."""
    network = parser.add_argument_group(
        "what the network is, where the source does not say it, or the name says otherwise"
    )
    _add(network, _NETWORK)
    network.add_argument(
        "--set",
        action="append",
        default=[],
        dest="others",
        metavar="ARGUMENT=VALUE",
        help="any other argument of VisionTransformer or CaiT, such as use_class_token=false or "
        "position_resampling=bicubic; may be given several times",
    )
    _add(parser.add_argument_group("how pictures are prepared, and what classes mean"), _PICTURES)


def conversion_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `convert` and `from_pretrained` that were given.

    Raises:
        UsageError: if a `--set` has another form.
    """
    keywords = {keyword: getattr(options, keyword) for _, keyword, _, _ in (*_NETWORK, *_PICTURES)}
    if options.class_names is not None:
        keywords["class_names"] = pathlib.Path(options.class_names)
    keywords["arguments"] = parse_arguments(options.others)
    return {name: value for name, value in keywords.items() if value is not None}


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `--set NAME=VALUE`.

    Args:
        texts: values are numbers, true, false, none, lists separated by commas, or text.

    Raises:
        UsageError: if a text has another form.
    """
    from kerasvit.errors import UsageError

    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not (name.strip() and value.strip()):
            raise UsageError(
                f"An argument is NAME=VALUE. Received: --set {text!r}. For instance: "
                "--set use_class_token=false"
            )
        found[name.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(","))
    return parse_number(text)


def _add(group: Any, rows: Sequence[tuple[str, str, dict[str, Any], str]]) -> None:
    for option, keyword, settings, words in rows:
        names = {"dest": keyword, "help": words}
        if "type" in settings and "metavar" not in settings:
            names["metavar"] = "N"
        group.add_argument(option, **names, **settings)
