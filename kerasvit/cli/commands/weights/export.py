"""`kerasvit export`: a model for another runtime, with its scores as outputs."""

import argparse
import os
import pathlib
import sys

from kerasvit.cli.options import at_least
from kerasvit.cli.speech import say, tell
from kerasvit.texts.wording import counted


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        parents=[common],
        help="write a model for ONNX Runtime, TF Serving, LiteRT, OpenVINO, PyTorch or XLA",
        description="Write a model for another runtime, its attention scores as named outputs; run "
        "the result there, and keep it only if it computes the same. The backend is the one that "
        "the format needs, whichever is set.",
    )
    parser.add_argument("model", help="a .keras file of kerasvit, or a release")
    parser.add_argument(
        "-o", "--output", required=True, help="the file to write; a folder for saved_model and web"
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="onnx, saved_model, litert, openvino, torch, stablehlo or web (a page that runs the "
        "model in the browser); defaults to what the output's suffix says: .onnx, .tflite, .xml, "
        ".pt2, .stablehlo, .html",
    )
    _add_content(parser)
    parser.add_argument(
        "--runtime",
        metavar="DIR",
        help="for web: npm's package onnxruntime-web; defaults to that in node_modules",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.set_defaults(run=run, needs_keras=False)


def _add_content(parser) -> None:
    """Add what the file takes and returns."""
    parser.add_argument("--attention", help="which scores come out: full, cls or none")
    parser.add_argument(
        "--blocks", type=_numbers, metavar="N,N", help="of these self-attention blocks alone"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--image-size",
        nargs=2,
        type=at_least(1),
        metavar=("H", "W"),
        help="height and width in pixels; defaults to the model's own",
    )
    size.add_argument(
        "--dynamic-size",
        action="store_true",
        help="take pictures of any size that the patches divide; all formats but web",
    )
    parser.add_argument(
        "--precision", default="float32", help="of the weights: float32, float16 or int8"
    )
    parser.add_argument(
        "--saliency", help="return a map instead of the scores: attention or rollout"
    )
    parser.add_argument(
        "--preprocess",
        action="store_true",
        help="take uint8 pictures of the right size, and normalise them in the file",
    )


def run(options) -> int:
    """Export, print the path, and say on standard error what was compared."""
    output = pathlib.Path(options.output)
    name = _take_backend(options, output)
    from kerasvit.exporting.exporter import export

    result = export(
        options.model,
        output,
        name,
        attention=options.attention,
        blocks=options.blocks,
        image_size="dynamic" if options.dynamic_size else options.image_size,
        precision=options.precision,
        saliency=options.saliency,
        preprocess=options.preprocess,
        runtime=options.runtime,
        overwrite=options.overwrite,
        report=lambda line: tell(f"kerasvit: {line} ..."),
    )
    tell(f"kerasvit: {_verdict(result.check)}")
    say(output)
    return 0


def _take_backend(options, output: pathlib.Path) -> str:
    """Have Keras run on the backend that the format needs; return the format's name."""
    from kerasvit.backend import choose_backend
    from kerasvit.exporting.formats import check_target, find_format, format_of

    name = options.format or format_of(output)
    target = find_format(name, options.precision)
    check_target(target, output)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = target.backend
    choose_backend()
    return name


def _verdict(check) -> str:
    if not check["checked"]:
        return f"not checked: {check['why']}"
    batches = " and ".join(map(str, check["batches"]))
    sizes = [f"{height}x{width}" for height, width in check["sizes"]]
    pictures = f" of {', '.join(sizes)} pixels" if len(sizes) > 1 else ""
    return (
        f"checked in {check['runtime']}: {counted(len(check['deviations']), 'output')}, "
        f"batches of {batches}{pictures}, within {check['worst']:.1e} of the model "
        f"(allowed: {check['tolerance']:.0e})"
    )


def _numbers(text: str) -> list[int]:
    """Read whole numbers separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        message = f"must be whole numbers separated by commas. Received: {text}"
        raise argparse.ArgumentTypeError(message) from None
