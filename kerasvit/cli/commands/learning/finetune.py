"""`kerasvit finetune`: a pretrained model learns the classes of a folder of pictures."""

import pathlib

from kerasvit.cli.folders import add_folder, limited, say_broken
from kerasvit.cli.options import add_model, at_least, load_model
from kerasvit.cli.speech import say, tell
from kerasvit.texts.wording import counted


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "finetune", parents=[common], help="teach a pretrained model new classes"
    )
    add_model(parser)
    add_folder(parser, "the pictures to learn from")
    parser.add_argument(
        "--validation", metavar="FOLDER", help="held-out pictures, in another folder or zip"
    )
    parser.add_argument("--validation-split", metavar="NAME", help="held-out split, such as test")
    parser.add_argument(
        "--hold-out",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of each class, where no other held-out pictures are named; defaults to 0.1",
    )
    parser.add_argument(
        "--labels",
        metavar="TABLE.csv",
        help="many labels: the pictures of --data with a 0 or 1 for each, below a header "
        "file,LABEL,...",
    )
    parser.add_argument(
        "--one-logit",
        action="store_true",
        help="of two classes: one logit, read by its sigmoid, instead of two",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.keras")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    _add_method(parser)
    parser.set_defaults(run=run, needs_keras=True)


def _add_method(parser) -> None:
    method = parser.add_mutually_exclusive_group()
    method.add_argument(
        "--freeze",
        action="store_true",
        help="train the head alone, to its optimum (a linear probe); no epochs are needed",
    )
    method.add_argument(
        "--lora",
        type=at_least(1),
        metavar="RANK",
        help="train the head and matrices of this rank beside the frozen ones",
    )
    parser.add_argument(
        "--layer-decay",
        type=float,
        default=0.75,
        help="factor of the learning rate from each block to the one before; defaults to 0.75",
    )
    parser.add_argument("--epochs", type=at_least(1), default=10, help="defaults to 10")
    parser.add_argument("--batch-size", type=at_least(1), default=32, help="defaults to 32")
    parser.add_argument(
        "--learning-rate", type=float, help="the highest one; defaults to 2e-4, with LoRA 2e-3"
    )
    parser.add_argument("--weight-decay", type=float, default=0.05, help="defaults to 0.05")
    parser.add_argument("--label-smoothing", type=float, default=0.1, help="defaults to 0.1")
    parser.add_argument(
        "--smallest-crop",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="of a picture's area that a random crop holds; 1 for no crops; defaults to 0.5",
    )
    parser.add_argument("--no-flip", action="store_true", help="mirror no pictures")
    parser.add_argument(
        "--image-size", type=at_least(1), metavar="N", help="side in pixels instead of the model's"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all that is random")


def run(options) -> int:
    """Train, and say how good the model is."""
    import keras

    from kerasvit.errors import UsageError
    from kerasvit.files import check_outputs
    from kerasvit.training.finetuning.finetune import finetune

    settings = _settings(options)
    output = pathlib.Path(options.output)
    if output.suffix != ".keras":
        raise UsageError(
            f"The output is a .keras file. Received: -o {str(output)!r}. "
            f"Name it {output.stem}.keras"
        )
    check_outputs([output], overwrite=options.overwrite, inputs=[options.model], make_folders=True)
    folder, validation = _folders(options)
    keras.utils.set_random_seed(options.seed)
    model, _ = load_model(options)
    tell(_summary(folder, validation))
    size = options.image_size
    result = finetune(
        model,
        folder,
        settings,
        validation=validation,
        output=output,
        overwrite=options.overwrite,
        image_size=(size, size) if size else None,
        report=tell,
        one_logit=options.one_logit,
    )
    say_broken(folder, validation)
    if result.accuracy is not None:
        count = len(validation) - len(validation.broken)
        say(f"accuracy {result.accuracy:.4f} on {counted(count, 'held-out picture')}")
    say(output)
    return 0


def _settings(options):
    """Return the settings; what is out of its range is refused before any file is read."""
    from kerasvit.training.finetuning.settings import FineTuning

    return FineTuning(
        method="frozen" if options.freeze else "lora" if options.lora else "full",
        lora_rank=options.lora or FineTuning.lora_rank,
        layer_decay=options.layer_decay,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        label_smoothing=options.label_smoothing,
        smallest_crop=options.smallest_crop,
        flip=not options.no_flip,
        seed=options.seed,
    )


def _folders(options):
    """Return the pictures to learn from and those that are held out, or None for these."""
    from kerasvit.training.data.folders import PictureFolder
    from kerasvit.training.data.subsets import hold_out

    if options.labels:
        return _labelled(options)
    folder = limited(PictureFolder.scan(options.data, options.split), options.limit)
    if not (options.validation or options.validation_split):
        return hold_out(folder, options.hold_out, options.seed)
    path = options.validation or options.data
    return folder, PictureFolder.scan(path, options.validation_split, folder.class_names)


def _labelled(options):
    """Return the same of pictures with many labels."""
    from kerasvit.errors import UsageError
    from kerasvit.training.data.label_table import read_label_table
    from kerasvit.training.data.subsets import hold_out

    unfit = [options.split, options.validation, options.validation_split]
    if any(unfit):
        raise UsageError(
            "A table of labels names its pictures, and a share of them is held out. Received: "
            "--labels with --split or --validation. Leave these out: --hold-out SHARE"
        )
    folder = limited(read_label_table(options.labels, options.data), options.limit)
    return hold_out(folder, options.hold_out, options.seed)


def _summary(folder, validation) -> str:
    held = f", {len(validation)} held out" if validation is not None else ", none held out"
    if folder.has_many_labels:
        kind = f"with {counted(len(folder.class_names), 'label')}"
    else:
        kind = f"of {counted(len(folder.class_names), 'class')}"
    return f"{counted(len(folder), 'picture')} {kind}{held}"
