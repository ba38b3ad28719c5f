"""Which map is shown first: candidates by where they peak, on pictures that no recipe saw.

    KERAS_BACKEND=torch python -m benchmarks.first_map --cifar10 ../shared/data/cifar10-jpeg.zip \\
        --count 200 -o first_map.json
    KERAS_BACKEND=torch python -m benchmarks.first_map --cifar10 ... --photograph cat.png

Each test picture lies in one quarter of a flat grey canvas, every quarter as often. What speaks for
the class that the model gives the canvas, or what it attends to, should peak in that quarter
(chance: 0.25). Mosaics hold four pictures that the model calls differently; the map of each one's
class should peak in its own (`kerasvit.evaluation.mosaics`; a map that knows no class has 0.25).
With `--photograph` the peak of each candidate on one photograph is named, as the command shows it.
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.saliency_methods import cifar10

MODELS = ("cait_nano_patch4_32.cifar10", "vit_nano_patch4_32.cifar10")
METHODS: dict[str, dict[str, int]] = {
    "relevance": {},
    "legrad": {},
    "grad_attention": {},
    "gradcam": {},
    "headwise": {"steps": 4},
}
# Blocks of self-attention whose mean is a candidate, where there is no class attention.
_LATE = 3
_GREY = 128

Maps = Mapping[str, np.ndarray]


def _scaled(maps: np.ndarray) -> np.ndarray:
    """Return maps with the largest value at 1."""
    maps = np.maximum(maps, 0)
    return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-30)


def _mean(*names: str) -> Callable[[Maps], np.ndarray]:
    return lambda maps: sum(_scaled(maps[name]) for name in names) / len(names)


def _product(*names: str) -> Callable[[Maps], np.ndarray]:
    return lambda maps: np.prod([_scaled(maps[name]) for name in names], axis=0)


# What is made of the methods' maps.
COMBINED = {
    "relevance x attention": _product("relevance", "attention"),
    "relevance x headwise": _product("relevance", "headwise"),
    "relevance x legrad": _product("relevance", "legrad"),
    "relevance x legrad x attention": _product("relevance", "legrad", "attention"),
    "mean of relevance, attention": _mean("relevance", "attention"),
    "mean of relevance, legrad": _mean("relevance", "legrad"),
    "mean of relevance, headwise": _mean("relevance", "headwise"),
    "mean of relevance, legrad, attention": _mean("relevance", "legrad", "attention"),
}


def main() -> None:
    """Measure, and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=pathlib.Path, required=True)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--count", type=int, default=200, help="of pictures")
    parser.add_argument("--first", type=int, default=0, help="of each class, leave out so many")
    parser.add_argument("--mosaics", type=int, default=50)
    parser.add_argument("--larger", action="store_true", help="canvas of twice the model's size")
    parser.add_argument("--photograph", help="name the peaks on it instead")
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()
    reports = {name: _measure(name, options) for name in options.models}
    if options.output:
        options.output.write_text(json.dumps(reports, indent=1) + "\n")


def _measure(name: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    import kerasvit
    from kerasvit.images import Preprocessing, read, resolve

    model = kerasvit.from_pretrained(name, attention="none")
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    if options.photograph:
        prepared = preprocessing.keep_aspect(
            read(resolve([options.photograph])[0]), patch_size=model.patch_size
        )
        for title, maps in _candidates(model, prepared.pixels[None], None).items():
            peak = np.unravel_index(maps[0].argmax(), maps[0].shape)
            print(f"{name}: {title}: row {peak[0]}, column {peak[1]} of {maps[0].shape}")
        return {}
    images = list(cifar10(options.cifar10, options.count + 10 * options.first))
    images = images[10 * options.first :]
    canvases, cells = _canvases(images, preprocessing.image_size[0], options.larger)
    pixels = np.stack([preprocessing.exact(canvas, model.patch_size).pixels for canvas in canvases])
    report: dict[str, dict[str, float]] = {}
    for title, maps in _candidates(model, pixels, None).items():
        report[title] = {"quarter": float(np.mean(_peak_cells(maps) == cells))}
    pictures = np.stack([preprocessing.evaluate(image).pixels for image in images])
    for title, hits in _grid_pointing(model, pictures, options.mosaics).items():
        report[title]["mosaic"] = hits
    print(f"\n{name}, {len(images)} canvases, {options.mosaics} mosaics\n")
    print("| map | peak in the right quarter | mosaic peak |\n|---|---:|---:|")
    for title, found in report.items():
        print(f"| {title} | {found['quarter']:.3f} | {found['mosaic']:.3f} |", flush=True)
    return report


def _canvases(images: list, size: int, larger: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Return uint8 canvases with one picture each, and the quarter that holds it, row by row."""
    from PIL import Image

    side = size if larger else size // 2
    canvases = []
    cells = np.arange(len(images)) // 10 % 4
    for image, cell in zip(images, cells, strict=True):
        small = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
        canvas = np.full((2 * side, 2 * side, 3), _GREY, np.uint8)
        top, left = side * (cell // 2), side * (cell % 2)
        canvas[top : top + side, left : left + side] = np.asarray(small)
        canvases.append(canvas)
    return canvases, cells


def _candidates(model, pixels: np.ndarray, target) -> dict[str, np.ndarray]:
    """Return every candidate's maps `(B, rows, columns)` by its name."""
    from kerasvit.saliency import explain, explain_blocks

    blocks = explain_blocks(model, pixels, "all", batch_size=25)
    blocks = {key: block.fuse("mean").values for key, block in blocks.items()}
    late = list(blocks) if model.class_blocks else list(blocks)[-_LATE:]
    maps = {f"attention of {key.removesuffix('_att')}": blocks[key] for key in late}
    maps["attention"] = np.mean([blocks[key] for key in late], axis=0)
    for method, options in METHODS.items():
        result = explain(model, pixels, method, target=target, batch_size=25, **options)
        maps[method] = result.values
    return maps | {name: combine(maps) for name, combine in COMBINED.items()}


def _peak_cells(maps: np.ndarray) -> np.ndarray:
    """Return the quarter, row by row, that each map's highest value lies in."""
    rows, columns = maps.shape[1:]
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    return 2 * (peaks // columns >= rows // 2) + (peaks % columns >= columns // 2)


def _grid_pointing(model, pictures: np.ndarray, count: int) -> dict[str, float]:
    from kerasvit.evaluation.mosaics import make_mosaics
    from kerasvit.saliency.request import model_outputs

    shown = model_outputs(model, pictures).argmax(axis=1)
    mosaics = make_mosaics(pictures, shown, count)
    hits: dict[str, list[float]] = {}
    for cell in range(mosaics.side**2):
        target = [int(shown[member]) for member in mosaics.members[:, cell]]
        for title, maps in _candidates(model, mosaics.pixels, target).items():
            hits.setdefault(title, []).append(float(np.mean(_peak_cells(maps) == cell)))
    return {title: float(np.mean(shares)) for title, shares in hits.items()}


if __name__ == "__main__":
    main()
