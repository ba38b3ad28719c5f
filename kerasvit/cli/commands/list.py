"""`kerasvit list`: models and pretrained releases by name, without loading a weight."""

from kerasvit.cli.columns import aligned, size, source
from kerasvit.errors import UsageError


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "list", parents=[common], help="models and pretrained releases by name"
    )
    parser.add_argument("pattern", nargs="?", default="*", help="such as 'cait*'")
    parser.add_argument("--pretrained", action="store_true", help="releases instead of models")
    parser.set_defaults(run=run_list, needs_keras=True)


def run_list(options) -> int:
    """Print names, one a line, with the facts that tell them apart."""
    lines = _releases(options.pattern) if options.pretrained else _models(options.pattern)
    if not lines:
        raise UsageError(
            f"Nothing has such a name. Received: {options.pattern!r}. All names: kerasvit list"
            f"{' --pretrained' if options.pretrained else ''}"
        )
    print(aligned(lines))
    return 0


def _models(pattern):
    from kerasvit.models.factory import list_models, variant

    return [
        (name, variant_type.__name__, size(arguments["image_shape"]), _heads(arguments))
        for name in list_models(pattern)
        for variant_type, arguments in [variant(name)]
    ]


def _heads(arguments) -> str:
    blocks = str(arguments["num_layers"])
    if "num_class_layers" in arguments:
        blocks += f"+{arguments['num_class_layers']}"
    heads, width = arguments["num_heads"], arguments["hidden_dim"]
    return f"{blocks} blocks, {heads} heads, width {width}"


def _releases(pattern):
    from kerasvit.releases import list_releases

    return [
        (
            release.name,
            size(release.preprocessing["image_size"]),
            _millions(release.num_parameters),
            f"{release.num_classes} classes" if release.num_classes else "features",
            release.licence or "licence not stated",
            source(release),
        )
        for release in list_releases(pattern)
    ]


def _millions(count) -> str:
    return f"{count / 1e6:.1f} M" if count else "-"
