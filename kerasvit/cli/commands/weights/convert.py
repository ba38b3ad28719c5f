"""`kerasvit convert`: a foreign checkpoint becomes a `.keras` file."""

from kerasvit.cli.conversion_options import add_conversion_options, conversion_options
from kerasvit.cli.options import at_least
from kerasvit.cli.speech import say, tell


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "convert", parents=[common], help="convert a checkpoint of timm, DINO, DINOv2, DeiT, CaiT"
    )
    parser.add_argument(
        "source",
        help="a .pth, .pt, .bin, .safetensors or .npz file, a folder or index of shards, a "
        "release, https://... or hf://org/name",
    )
    parser.add_argument("-o", "--output", required=True, help="the .keras file to write")
    parser.add_argument(
        "-m", "--model", help="its model, such as vit_small_patch16_224; detected where one fits"
    )
    parser.add_argument("--head", help="a linear head of DINO or DINOv2 to join it with, likewise")
    parser.add_argument("--release", help="the release it is, for preprocessing and class names")
    parser.add_argument(
        "--num-classes",
        type=at_least(0),
        metavar="N",
        help="give the model another head; 0 for none",
    )
    parser.add_argument(
        "--select",
        choices=("teacher", "student", "encoder", "target_encoder"),
        help="network of a full checkpoint of DINO, DINOv2 or I-JEPA",
    )
    parser.add_argument("--sha256", help="published digest of the file, or its first 8 digits")
    parser.add_argument(
        "--no-verify", action="store_true", help="do not compare with the source's model"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    add_conversion_options(parser)
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Convert, and say each step, and the origin of each fact, on standard error."""
    from kerasvit.conversion import convert
    from kerasvit.memory import map_large_blocks

    map_large_blocks()
    conversion = convert(
        options.source,
        options.output,
        options.model,
        head=options.head,
        num_classes=options.num_classes,
        release=options.release,
        select=options.select,
        sha256=options.sha256,
        verify=False if options.no_verify else None,
        overwrite=options.overwrite,
        report=tell,
        **conversion_options(options),
    )
    for note in conversion.notes:
        tell(note)
    say(options.output)
    return 0
