"""`kerasvit list` and `kerasvit info`: what there is, without loading a weight."""

import math

from kerasvit.errors import UsageError


def add_parsers(subparsers, common) -> None:
    """Add the two commands."""
    parser = subparsers.add_parser(
        "list", parents=[common], help="models and pretrained releases by name"
    )
    parser.add_argument("pattern", nargs="?", default="*", help="such as 'cait*'")
    parser.add_argument("--pretrained", action="store_true", help="releases instead of models")
    parser.set_defaults(run=run_list, needs_keras=True)
    parser = subparsers.add_parser("info", parents=[common], help="facts of one model or release")
    parser.add_argument("name", help="a model, a release, or a .keras file")
    parser.set_defaults(run=run_info, needs_keras=True)


def run_list(options) -> int:
    """Print names, one a line, with the facts that tell them apart."""
    lines = _releases(options.pattern) if options.pretrained else _models(options.pattern)
    if not lines:
        raise UsageError(
            f"Nothing has such a name. Received: {options.pattern!r}. All names: kerasvit list"
            f"{' --pretrained' if options.pretrained else ''}"
        )
    print(_aligned(lines))
    return 0


def run_info(options) -> int:
    """Print the facts of one model."""
    print(_aligned(_facts(options.name)))
    return 0


def _models(pattern):
    from kerasvit.models.factory import list_models, variant

    return [
        (name, variant_type.__name__, _size(arguments["image_shape"]), _heads(arguments))
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
            _size(release.preprocessing["image_size"]),
            _millions(release.num_parameters),
            f"{release.num_classes} classes" if release.num_classes else "features",
            release.licence or "licence not stated",
            _source(release),
        )
        for release in list_releases(pattern)
    ]


def _facts(name: str):
    from kerasvit.models.factory import aliases, list_models
    from kerasvit.releases import list_releases

    if name.endswith(".keras"):
        return _file_facts(name)
    is_release = "." in name or bool(list_releases(name))
    if is_release and name not in (*list_models(), *aliases()):
        return _release_facts(name)
    return _model_facts(name)


def _model_facts(name: str, **overrides):
    from kerasvit.models.factory import canonical_name, create_model
    from kerasvit.models.without_values import without_values
    from kerasvit.releases import list_releases

    model = without_values(lambda: create_model(name, **overrides))
    base = canonical_name(name)
    releases = [release.name for release in list_releases() if release.model == base]
    return [
        ("model", name if name == base else f"{name} ({base})"),
        *_architecture(model),
        ("pretrained", ", ".join(releases) or "none known"),
    ]


def _architecture(model):
    parameters = sum(math.prod(variable.shape) for variable in model.weights)
    class_layers = getattr(model, "num_class_layers", 0)
    return [
        ("class", type(model).__name__),
        ("parameters", f"{parameters:,}"),
        ("input", "x".join(map(str, model.image_shape))),
        ("patch size", "x".join(map(str, model.patch_size))),
        ("layers", f"{model.num_layers}" + (f" + {class_layers}" if class_layers else "")),
        ("heads", str(model.num_heads)),
        ("width", str(model.hidden_dim)),
        ("classes", str(model.num_classes) if model.num_classes else "none: it gives features"),
    ]


def _release_facts(name: str):
    from kerasvit.releases import find_release

    release = find_release(name)
    facts = [("release", release.name), *_model_facts(release.model, **release.overrides)[:-1]]
    return [
        *facts,
        ("pretraining", release.note or "-"),
        ("preprocessing", _preprocessing(release.preprocessing)),
        ("source", _source(release)),
        ("licence", release.licence or "not stated by the source"),
        ("reference", release.reference or "-"),
    ]


def _file_facts(path: str):
    from kerasvit.pretrained import load

    model = load(path)
    record = model.record
    source = record.get("source") or {}
    if isinstance(source, str):
        source = {"file": source}
    parity = record.get("parity")
    return [
        ("file", path),
        *_architecture(model),
        ("release", record.get("release", "-")),
        ("source", source.get("file", "-")),
        ("sha256", source.get("sha256") or "-"),
        ("licence", record.get("licence", "-")),
        ("preprocessing", _preprocessing(record.get("preprocessing") or {})),
        ("parity", _parity(parity) if parity else "not verified"),
    ]


def _parity(parity) -> str:
    worst = max(parity["scores"].values(), default=0.0)
    return f"logits within {parity['logits']:.1e} of the largest, scores within {worst:.1e} of timm"


def _preprocessing(table) -> str:
    if not table:
        return "-"
    return (
        f"{_size(table['image_size'])}, crop {table['crop_fraction']} ({table['crop_mode']}), "
        f"{table['interpolation']}, mean {list(table['mean'])}, std {list(table['std'])}"
    )


def _source(release) -> str:
    if release.embedded:
        return "in the package"
    return f"hf://{release.hub}" if release.hub else release.url


def _size(shape) -> str:
    return f"{shape[0]}x{shape[1]}"


def _millions(count) -> str:
    return f"{count / 1e6:.1f} M" if count else "-"


def _aligned(rows) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
