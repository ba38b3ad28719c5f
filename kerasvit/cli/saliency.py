"""`kerasvit saliency`: pictures of where a model looks, with the raw arrays beside them."""

import dataclasses
import pathlib

from kerasvit.cli.options import add_inputs, add_model, load_model, model_label


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "saliency", parents=[common], help="pictures of where a model looks"
    )
    add_inputs(parser)
    add_model(parser)
    parser.add_argument("-o", "--output", default="out", help="folder; defaults to out")
    parser.add_argument(
        "--layer",
        help="block: a number, -1, 'last', 'first', 'all'; defaults to all blocks of "
        "class attention, or the last block of self-attention",
    )
    parser.add_argument("--stage", choices=("sa", "ca"), help="self- or class attention")
    parser.add_argument(
        "--head", default="mean", help="mean, max, min or a head's number; defaults to mean"
    )
    parser.add_argument(
        "--query", default="class", help="class, distillation, mean, or ROW,COLUMN of a patch"
    )
    parser.add_argument("--resize", type=int, help="shorter side in pixels that the model sees")
    parser.add_argument(
        "--fit",
        choices=("aspect", "crop", "exact"),
        default="aspect",
        help="the whole picture (default), the evaluation's crop, or its own pixels",
    )
    parser.add_argument(
        "--mass", type=float, help="outline the patches that hold this share of the attention"
    )
    parser.add_argument("--colormap", default="cividis")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=run, needs_keras=True)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files written for one picture."""

    sheet: pathlib.Path
    overlay: pathlib.Path
    arrays: pathlib.Path


def run(options) -> int:
    """Write a sheet, an overlay and the arrays for each picture."""
    from kerasvit.cli.pictures import each_picture
    from kerasvit.images import resolve

    paths = resolve(options.inputs)
    query = parse_query(options.query)
    head = parse_number(options.head)
    outputs = plan_outputs(paths, pathlib.Path(options.output), options.overwrite)
    model, preprocessing = load_model(options, attention="cls")

    def work(path):
        draw(path, outputs[path], model, preprocessing, query, head, options)

    return each_picture(paths, work, options.fail_fast)


def parse_number(text: str | None) -> int | str | None:
    """Return an int where the text is one, else the text."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return text


def parse_query(text: str) -> str | tuple[int, int]:
    """Return "class" and the like, or `(row, column)` of "3,5".

    Raises:
        UsageError: if the text has a comma and is no such pair.
    """
    from kerasvit.errors import UsageError

    if "," not in text:
        return text
    parts = [parse_number(part) for part in text.split(",")]
    if len(parts) != 2 or not all(isinstance(part, int) for part in parts):
        raise UsageError(
            f"A query patch is ROW,COLUMN. Received: --query {text!r}. For instance: --query 3,5"
        )
    return parts[0], parts[1]


def plan_outputs(
    paths: list[pathlib.Path], folder: pathlib.Path, overwrite: bool
) -> dict[pathlib.Path, Outputs]:
    """Choose the files of every picture, and refuse before any work if one exists.

    Two pictures of the same name in different folders get different names.

    Raises:
        OutputError: if a file exists and `overwrite` is False, or the folder cannot be made.
    """
    from kerasvit.errors import OutputError

    outputs, taken = {}, set()
    for path in paths:
        stem, number = path.stem, 2
        while stem in taken:
            stem, number = f"{path.stem}_{number}", number + 1
        taken.add(stem)
        outputs[path] = Outputs(
            folder / f"{stem}.png", folder / f"{stem}.overlay.png", folder / f"{stem}.npz"
        )
    for file in (file for one in outputs.values() for file in dataclasses.astuple(one)):
        if file.exists() and not overwrite:
            raise OutputError(
                f"The output must be a new file. Received: {str(file)!r}, which exists. Pass "
                "--overwrite, or another folder with -o"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output folder cannot be made. Received: {str(folder)!r}: {error.strerror}. "
            "Choose another one with -o"
        ) from error
    return outputs


def draw(path, outputs, model, preprocessing, query, head, options) -> None:
    """Run the model on one picture and write what it looks at."""
    from kerasvit.cli.predicting import describe, predictions
    from kerasvit.images import read
    from kerasvit.saliency import explain_blocks

    image = read(path)
    prepared = prepare(preprocessing, image, model.patch_size, options)
    layer = parse_number(options.layer)
    blocks = explain_blocks(
        model,
        prepared.pixels[None],
        None if layer is None else "all" if layer == "all" else [layer],
        query=query,
        stage=options.stage,
        geometries=[prepared.geometry],
    )
    chosen = next(iter(blocks)) if next(iter(blocks)).startswith("ca") else list(blocks)[-1]
    saliency = blocks[chosen].fuse(head)
    classes = predictions(model, preprocessing, image, 5) if model.num_classes else []
    write(outputs, image, blocks, saliency, classes, model, options)
    print(f"{path}: {describe(classes) + ' -> ' if classes else ''}{outputs.sheet}")


def prepare(preprocessing, image, patch_size, options):
    """Prepare one picture as `--fit` and `--resize` say."""
    if options.fit == "exact":
        return preprocessing.exact(image, patch_size)
    if options.fit == "crop":
        return preprocessing.evaluate(image)
    return preprocessing.keep_aspect(image, options.resize, patch_size=patch_size)


def write(outputs, image, blocks, saliency, classes, model, options) -> None:
    """Write the sheet, the overlay and the arrays of one picture."""
    import numpy as np

    from kerasvit.render import overlay, saliency_sheet, write_npz, write_png
    from kerasvit.saliency import mass_mask, normalise

    style = "blend" if options.mass is None else "mask"
    sheet = saliency_sheet(
        image,
        {key: one.values[0] for key, one in blocks.items()},
        saliency.values[0],
        saliency.geometries[0],
        classes[:3],
        title=outputs.sheet.stem,
        subtitle=model_label(model, options.model),
        saliency_title=f"head {options.head}",
        colormap=options.colormap,
        style=style,
        mass=options.mass or 0.6,
    )
    if style == "mask":
        values = mass_mask(saliency.values, options.mass)[0].astype(np.float32)
        placed = saliency.geometries[0].place(values, interpolation="nearest")
    else:
        values = normalise(saliency.values).values[0]
        placed = saliency.geometries[0].place(values, interpolation="bicubic")
    arrays = {key: one.values[0] for key, one in blocks.items()}
    arrays["saliency"] = saliency.values[0]
    arrays["box"] = np.array(saliency.geometries[0].box)
    arrays["original_size"] = np.array(saliency.geometries[0].original_size)
    if saliency.logits is not None:
        arrays["logits"] = saliency.logits[0]
    write_npz(outputs.arrays, arrays, options.overwrite)
    write_png(
        outputs.overlay, overlay(image, placed, options.colormap, style=style), options.overwrite
    )
    write_png(outputs.sheet, sheet, options.overwrite)
