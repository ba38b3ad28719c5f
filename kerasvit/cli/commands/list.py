"""`kerasvit list`: models, pretrained releases and saliency methods by name."""

from kerasvit.cli.reports.columns import aligned, size, source
from kerasvit.cli.speech import say_table
from kerasvit.errors import UsageError
from kerasvit.texts.wording import counted


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "list", parents=[common], help="models, pretrained releases and saliency methods by name"
    )
    parser.add_argument(
        "pattern",
        nargs="?",
        default="*",
        help="such as 'cait*', or 'dino*' for the publishers' names",
    )
    parser.add_argument("--pretrained", action="store_true", help="releases instead of models")
    parser.add_argument("--methods", action="store_true", help="saliency methods instead of models")
    parser.set_defaults(run=run_list, needs_keras=True)


def run_list(options) -> int:
    """Print names, one a line, with the facts that tell them apart."""
    if options.pretrained and options.methods:
        raise UsageError(
            "One kind of names is listed. Received: --pretrained and --methods. Leave one out"
        )
    if options.methods:
        lines_of, switch = _methods, " --methods"
    elif options.pretrained:
        lines_of, switch = _releases, " --pretrained"
    else:
        lines_of, switch = _names, ""
    lines = lines_of(options.pattern)
    if not lines:
        wider = (options.pattern.lower(), f"*{options.pattern.lower().strip('*')}*")
        near = next((pattern for pattern in wider if lines_of(pattern)), None)
        hint = "" if near in (None, "**") else f"Did you mean {near!r}? "
        raise UsageError(
            f"Nothing has such a name. Received: {options.pattern!r}. {hint}All names: kerasvit "
            f"list{switch}"
        )
    say_table(aligned(lines))
    return 0


def _names(pattern):
    """Return rows of models: a publisher's name stands for one, and so may a release's alone."""
    return _models(pattern) + _aliases(pattern) or _releases(pattern)


def _methods(pattern):
    """Return a row for each method, and one for each of its options."""
    import fnmatch

    from kerasvit.saliency import METHODS

    rows = []
    for name in fnmatch.filter(METHODS, pattern):
        rows.append((name, METHODS[name].about))
        for option in METHODS[name].options.known():
            default = "" if option.default is None else f"={option.default}"
            rows.append((f"  {name}.{option.name}{default}", option.about))
    return rows


def _models(pattern):
    from kerasvit.models.factory import list_models, variant

    return [
        (name, variant_type.__name__, size(arguments["image_shape"]), _heads(arguments))
        for name in list_models(pattern)
        for variant_type, arguments in [variant(name)]
    ]


def _aliases(pattern):
    """Return a row for each publisher's name that fits; none where all are asked for."""
    import fnmatch

    from kerasvit.models.factory import aliases

    if pattern == "*":
        return []
    known = aliases()
    return [(name, f"= {known[name]}", "", "") for name in sorted(fnmatch.filter(known, pattern))]


def _heads(arguments) -> str:
    blocks = str(arguments["num_layers"])
    if "num_class_layers" in arguments:
        blocks += f"+{arguments['num_class_layers']}"
    heads, width = arguments["num_heads"], arguments["hidden_dim"]
    return f"{blocks} blocks, {counted(heads, 'head')}, width {width}"


def _releases(pattern):
    from kerasvit.releases import list_releases

    return [
        (
            release.name,
            size(release.preprocessing["image_size"]),
            _millions(release.num_parameters),
            counted(release.num_classes, "class") if release.num_classes else "features",
            release.licence or "licence not stated",
            source(release),
        )
        for release in list_releases(pattern)
    ]


def _millions(count) -> str:
    return f"{count / 1e6:.1f} M" if count else "-"
