"""`kerasvit saliency`: pictures of where a model looks, with the raw arrays beside them."""

from kerasvit.cli.figures import add_figure
from kerasvit.cli.methods import add_methods
from kerasvit.cli.options import add_fit, add_inputs, add_model, add_output, add_resize, add_target
from kerasvit.cli.speech import tell
from kerasvit.cli.values import parse_method_options, parse_number, parse_query, split_names


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "saliency", parents=[common], help="pictures of where a model looks"
    )
    add_inputs(parser, "pictures, videos")
    add_model(parser)
    add_output(parser)
    add_methods(
        parser,
        "method",
        default=None,
        usual="what speaks for the class with the attention beside it, or the attention alone of a "
        "model without classes, of a video, or with --layer, --head, --query or --stage",
        hint="several are drawn side by side",
    )
    add_target(parser)
    parser.add_argument(
        "--layer",
        help="block: a number, -1, last, first, all; defaults to all blocks of class attention, or "
        "the last block of self-attention",
    )
    parser.add_argument("--stage", choices=("sa", "ca"), help="self- or class attention")
    parser.add_argument(
        "--head", default="mean", help="mean, max, min or a head's number; defaults to mean"
    )
    parser.add_argument(
        "--query",
        default="class",
        help="who asks: class (or cls), distillation (dist), mean, patches, or ROW,COLUMN",
    )
    _add_drawing(parser)
    _add_parts(parser)
    parser.set_defaults(run=run, needs_keras=True)


def _add_drawing(parser) -> None:
    add_resize(parser)
    add_fit(parser)
    parser.add_argument(
        "--style",
        choices=("fade", "blend", "modulate", "heatmap"),
        default="fade",
        help="how a map lies over the photograph: its colours where it is high and the photograph "
        "elsewhere (fade, the default), its colours over the whole (blend), the grey photograph "
        "times the map (modulate), or the map alone (heatmap)",
    )
    parser.add_argument(
        "--mass",
        type=float,
        metavar="SHARE",
        help="show the patches that hold this share of a map, such as 0.6",
    )
    parser.add_argument("--colormap", default="inferno", help="of Matplotlib; defaults to inferno")
    _add_files(parser)
    parser.add_argument(
        "--mode",
        choices=("side-by-side", "overlay", "mask"),
        help="of a video: beside the frames (default), over them, or the mask of --mass",
    )


def _add_files(parser) -> None:
    parser.add_argument(
        "--format",
        metavar="FORMAT,...",
        help="png, pdf, svg (sheet and overlays), npz (arrays), html (a viewer of every score), "
        "gif (through the layers; of a video, the video), mp4 (videos); defaults to png,npz, and "
        "mp4,npz for videos. With mp4 among them, an animated GIF, PNG or WebP counts as a video",
    )
    add_figure(parser)


def _add_parts(parser) -> None:
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="draw the part I, from 1 to N, of N parts of the pictures, such as "
        "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT; then: kerasvit merge FOLDER",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the last run in this folder, even one that was killed: what it finished "
        "is left as it is",
    )


def run(options) -> int:
    """Write a sheet, overlays, arrays or a video for each input, and the manifest."""
    from kerasvit.backend import choose_backend, has_gradients
    from kerasvit.cli.reports.narrator import Narrator
    from kerasvit.errors import InputError
    from kerasvit.look import saliency

    settings = read_settings(options)
    if settings.is_open and not has_gradients():
        tell(f"{choose_backend()} has no gradients: the attention alone is drawn")
    with Narrator() as narrator:
        drawn = saliency(
            options.inputs,
            options.model,
            out=options.output,
            settings=settings,
            overwrite=options.overwrite,
            fail_fast=options.fail_fast,
            recursive=options.recursive,
            shard=options.shard,
            resume=options.resume,
            listener=narrator,
        )
    if not drawn and not drawn.failed:
        part = "" if options.shard is None else f" of the part {options.shard}"
        tell(f"no picture{part} is left to draw")
    return InputError.exit_code if drawn.failed else 0


def read_settings(options):
    """Return the settings of the command line.

    Raises:
        UsageError: if a name is unknown, or options contradict each other.
    """
    from kerasvit.look import Settings
    from kerasvit.look.checking import FORMATS
    from kerasvit.look.first import LEADS
    from kerasvit.look.spelling import COMMAND
    from kerasvit.saliency import METHODS

    methods = (
        split_names(options.method, "method", tuple(METHODS))
        if options.method is not None
        else None
    )
    asked = methods or LEADS[:1]
    return Settings(
        method=methods,
        formats=split_names(options.format, "format", FORMATS)
        if options.format is not None
        else None,
        target=options.target,
        query=parse_query(options.query),
        layer=parse_number(options.layer),
        heads=parse_number(options.head),
        stage=options.stage,
        options=parse_method_options(options.option, asked),
        resize=options.resize,
        fit=options.fit,
        precision=options.precision,
        frame=options.frame,
        max_pixels=options.max_pixels,
        style=options.style,
        mass=options.mass,
        colormap=options.colormap,
        dpi=parse_number(options.dpi),
        title=options.title,
        mode=options.mode,
        spelling=COMMAND,
    )
