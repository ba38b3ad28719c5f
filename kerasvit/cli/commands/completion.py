"""`kerasvit completion`: a script that completes commands, options and names in a shell."""

import functools

from kerasvit.cli.completion import SHELLS, commands_of
from kerasvit.cli.speech import say_table


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "completion", parents=[common], help="a script that completes commands in a shell"
    )
    parser.add_argument("shell", choices=tuple(SHELLS))
    parser.set_defaults(run=functools.partial(run, subparsers), needs_keras=True)


def run(subparsers, options) -> int:
    """Print the script."""
    say_table(SHELLS[options.shell](commands_of(subparsers, known_names())).rstrip("\n"))
    return 0


def known_names() -> dict[str, tuple[str, ...]]:
    """Return the values of each kind in `kerasvit.cli.completion.KINDS`."""
    from kerasvit.cli.commands.looking.probe import PROBES
    from kerasvit.evaluation import METRICS
    from kerasvit.exporting.formats import FORMATS as TARGETS
    from kerasvit.look.checking import FORMATS
    from kerasvit.models.factory import aliases, list_models
    from kerasvit.releases import list_releases
    from kerasvit.render.figures import FIGURE_FORMATS
    from kerasvit.saliency import METHODS
    from kerasvit.training.recipe.reading import list_recipes

    models = (*list_models(), *sorted(aliases()))
    releases = tuple(
        name for release in list_releases() for name in (release.name, *release.aliases)
    )
    return {
        "models": models,
        "releases": releases,
        "names": tuple(dict.fromkeys((*models, *releases))),
        "methods": tuple(METHODS),
        "metrics": tuple(METRICS),
        "probes": PROBES,
        "recipes": tuple(list_recipes()),
        "formats": FORMATS,
        "figures": FIGURE_FORMATS,
        "targets": tuple(TARGETS),
    }
