"""`kerasvit export-weights`: a model's weights for PyTorch."""

import pathlib

from kerasvit.cli.speech import say, tell


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export-weights",
        parents=[common],
        help="write a model's weights for PyTorch, under timm's or a publisher's names",
    )
    parser.add_argument("model", help="a .keras file of kerasvit, or a release")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="the .safetensors, .pth, .pt or .bin file to write; for huggingface the folder",
    )
    parser.add_argument(
        "--layout",
        default="timm",
        help="whose names: timm (the default), dino, dinov2, dinov3, deit, deit3, cait, xcit or "
        "huggingface",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Export, and say on standard error how timm makes the model of it."""
    from kerasvit.conversion.export import check_export, export_notes, export_weights
    from kerasvit.conversion.huggingface_folder import check_folder
    from kerasvit.conversion.proof.timm.modules import timm_module
    from kerasvit.pretrained import from_pretrained

    output = pathlib.Path(options.output)
    if options.layout == "huggingface":
        check_folder(output, options.overwrite)
    else:
        check_export(output, options.overwrite, options.model)
    model = from_pretrained(options.model)
    export_weights(model, output, options.layout, options.overwrite)
    for note in export_notes(model, options.layout):
        tell(note)
    if options.layout == "timm":
        tell(f"Its model in timm: {timm_module(model).call()}")
    if options.layout == "huggingface" and not (output / "preprocessor_config.json").exists():
        tell(
            "No preprocessor_config.json: the model's record says no preprocessing, or one that no "
            "image processor of transformers has."
        )
    say(output)
    return 0
