"""`kerasvit evaluate`: how many pictures a model classifies right."""

import json
import pathlib
import sys

from kerasvit.cli.folders import add_folder, limited, say_broken
from kerasvit.cli.options import add_model, at_least, load_model
from kerasvit.cli.speech import say
from kerasvit.texts.wording import counted


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate", parents=[common], help="measure how many pictures a model classifies right"
    )
    add_model(parser)
    add_folder(
        parser,
        "the pictures, in folders named by the model's classes or ImageNet's WordNet numbers",
    )
    parser.add_argument(
        "--neighbours",
        metavar="FOLDER",
        help="judge features instead of a head: these pictures, of the same classes, vote",
    )
    parser.add_argument(
        "--neighbours-split", metavar="NAME", help="of that folder, or of --data without one"
    )
    parser.add_argument(
        "--neighbours-limit", type=at_least(1), metavar="N", help="the first N of each class alone"
    )
    parser.add_argument("-k", type=at_least(1), default=20, help="neighbours; defaults to 20")
    parser.add_argument(
        "--temperature", type=float, default=0.07, help="of the neighbours' votes; defaults to 0.07"
    )
    parser.add_argument(
        "--image-size", type=at_least(1), metavar="N", help="side in pixels instead of the model's"
    )
    parser.add_argument("--batch-size", type=at_least(1), default=32, help="defaults to 32")
    parser.add_argument("-o", "--output", default="accuracy.json", help="defaults to accuracy.json")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Write the report, and print its figures."""
    from kerasvit import __version__
    from kerasvit.errors import InputError, UsageError
    from kerasvit.evaluation.files import ending_of
    from kerasvit.files import atomic_path, check_outputs
    from kerasvit.look.models import model_facts, model_label
    from kerasvit.training.data.features import preprocessing_of

    output = pathlib.Path(options.output)
    ending_of(output, ("json",), "a report")
    check_outputs([output], overwrite=options.overwrite, make_folders=True)
    model, _ = load_model(options, attention="none")
    by_neighbours = options.neighbours or options.neighbours_split
    if not (model.num_classes or by_neighbours):
        raise UsageError(
            f"A model without a head has no classes. Received: {options.model!r}, which gives "
            "features. Judge them by labelled pictures: --neighbours FOLDER"
        )
    size = options.image_size
    preprocessing = preprocessing_of(model, (size, size) if size else None)
    measure = _by_neighbours if by_neighbours else _by_head
    report, folders = measure(options, model, preprocessing)
    facts = {
        "version": __version__,
        "model": model_facts(model, model_label(model, options.model)),
        "data": {"path": options.data, "split": options.split, "limit": options.limit},
        "preprocessing": preprocessing.to_dict(),
    }
    with atomic_path(output, options.overwrite) as temporary:
        text = json.dumps({**facts, **report}, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="ascii")
    say(_line(report))
    say(output)
    return InputError.exit_code if say_broken(*folders) else 0


def _by_head(options, model, preprocessing):
    from kerasvit.training.accuracy import evaluate_accuracy
    from kerasvit.training.data.class_labels import scan_for

    folder = limited(scan_for(model, options.data, options.split), options.limit)
    with _bar(len(folder)) as bar:
        arguments = (model, preprocessing, folder, options.batch_size)
        return evaluate_accuracy(*arguments, advance=bar.update), [folder]


def _by_neighbours(options, model, preprocessing):
    from kerasvit.training.accuracy import evaluate_neighbours
    from kerasvit.training.data.folders import PictureFolder

    path = options.neighbours or options.data
    train = PictureFolder.scan(path, options.neighbours_split)
    folder = PictureFolder.scan(options.data, options.split, train.class_names)
    train = limited(train, options.neighbours_limit)
    folder = limited(folder, options.limit)
    with _bar(len(train) + len(folder)) as bar:
        report = evaluate_neighbours(
            model,
            preprocessing,
            folder,
            train,
            k=options.k,
            temperature=options.temperature,
            batch_size=options.batch_size,
            advance=bar.update,
        )
    report["neighbours"] |= {"path": path, "split": options.neighbours_split}
    return report, [train, folder]


def _bar(total: int):
    """Return a progress bar, hidden where there is no terminal."""
    import tqdm

    return tqdm.tqdm(total=total, unit="picture", file=sys.stderr, disable=None)


def _line(report) -> str:
    names = [name for name in ("top1", "top5") if name in report]
    figures = ", ".join(f"{name} {report[name]:.4f}" for name in names)
    return f"{figures} on {counted(report['n'], 'picture')}"
