"""`kerasvit info`: the facts of one model, release or file."""

import math

from kerasvit.cli.reports.columns import aligned, size, source
from kerasvit.cli.speech import say_table


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser("info", parents=[common], help="facts of one model or release")
    parser.add_argument("name", help="a model, a release, or a .keras file")
    parser.set_defaults(run=run_info, needs_keras=True)


def run_info(options) -> int:
    """Print the facts of one model."""
    say_table(aligned(_facts(options.name)))
    return 0


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
    from kerasvit.models.opening.without_values import without_values
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
    class_layers = model.num_class_layers
    return [
        ("class", type(model).__name__),
        ("parameters", f"{parameters:,}"),
        ("input", "x".join(map(str, model.image_shape))),
        ("patch size", "x".join(map(str, model.patch_size))),
        ("layers", f"{model.num_layers}" + (f" + {class_layers}" if class_layers else "")),
        ("heads", str(model.num_heads)),
        ("width", str(model.hidden_dim)),
        ("classes", str(model.num_classes) if model.num_classes else "none: it gives features"),
        *([("outputs", model.problem.description)] if _is_unusual(model) else []),
    ]


def _is_unusual(model) -> bool:
    """Tell whether the outputs are anything but the classes of a softmax."""
    from kerasvit.models.problem import SINGLE_LABEL

    return model.num_classes > 0 and model.problem.problem_type != SINGLE_LABEL


def _release_facts(name: str):
    from kerasvit.releases import find_release
    from kerasvit.releases.licences import licence_of

    release = find_release(name)
    facts = [("release", release.name), *_model_facts(release.model, **release.overrides)[:-1]]
    return [
        *facts,
        ("pretraining", release.note or "-"),
        ("preprocessing", _preprocessing(release.preprocessing)),
        ("source", source(release)),
        ("licence", licence_of(release) if release.licence else "not stated by the source"),
        ("reference", release.reference or "-"),
    ]


def _file_facts(path: str):
    from kerasvit.pretrained import load

    model = load(path)
    record = model.record
    origin = record.get("source") or {}
    if isinstance(origin, str):
        origin = {"file": origin}
    parity = record.get("parity")
    return [
        ("file", path),
        *_architecture(model),
        ("release", record.get("release", "-")),
        ("source", origin.get("file", "-")),
        ("sha256", origin.get("sha256") or "-"),
        ("licence", record.get("licence", "-")),
        ("preprocessing", _preprocessing(record.get("preprocessing") or {})),
        ("parity", _parity(parity) if parity else "not verified"),
    ]


def _parity(parity) -> str:
    worst = max(parity["scores"].values(), default=0.0)
    return (
        f"logits within {parity['logits']:.1e} of the largest, scores within {worst:.1e} of "
        f"{parity.get('reference', 'timm')}"
    )


def _preprocessing(table) -> str:
    if not table:
        return "-"
    return (
        f"{size(table['image_size'])}, crop {table['crop_fraction']} ({table['crop_mode']}), "
        f"{table['interpolation']}, mean {list(table['mean'])}, std {list(table['std'])}"
    )
