"""`kerasvit train`: a model from a recipe, from its first step to its file."""

import pathlib

from kerasvit.cli.speech import say, tell
from kerasvit.texts.wording import counted


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train", parents=[common], help="train a model as a recipe says, or go on with a run"
    )
    parser.add_argument("recipe", help="a .toml file, or the name of a recipe of the package")
    parser.add_argument("--data", help="folder or zip with a folder for each class")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="a value in place of the recipe's, such as optimizer.learning_rate=0.001; may be "
        "given several times",
    )
    parser.add_argument(
        "--distribution",
        choices=("data", "model"),
        help="all devices of all hosts: each with the whole model, or sharing it (on JAX)",
    )
    parser.add_argument("-o", "--output", help="folder; defaults to runs/RECIPE")
    parser.add_argument("--resume", action="store_true", help="go on with the folder's run")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Train, and print the model's accuracy and file."""
    from kerasvit.memory import reuse_memory
    from kerasvit.training.recipe.reading import read_recipe
    from kerasvit.training.run.train import train

    changes = list(options.set)
    if options.data:
        changes.append(f"data.path={_quoted(options.data)}")
    if options.distribution:
        changes.append(f"run.distribution={options.distribution}")
    recipe = read_recipe(options.recipe, changes)
    output = pathlib.Path(options.output or pathlib.Path("runs", pathlib.Path(options.recipe).stem))
    reuse_memory()
    result = train(recipe, output, resume=options.resume, overwrite=options.overwrite)
    if result.broken:
        tell(f"{result.broken} broken pictures were left out")
    if result.accuracy is None:
        tell(f"stopped after {counted(result.step, 'step')}; go on with --resume")
    else:
        tell(
            f"test accuracy {result.accuracy:.4f} on {counted(result.count, 'picture')}",
        )
    say(result.path)
    return 0


def _quoted(text: str) -> str:
    """Return a path as TOML has it, whatever its letters."""
    import json

    return json.dumps(text)
