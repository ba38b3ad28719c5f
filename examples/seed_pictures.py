"""The four pictures that tutorials of attention show, of any model and photograph.

    python examples/seed_pictures.py photograph.jpg -m dino.keras -o pictures

- `dino_heads.png`: the heads of the last self-attention block and their mean, as DINO's
  visualisation shows them (https://arxiv.org/abs/2104.14294).
- `cait_figure_6.png`: the heads of every class-attention block, and
- `cait_figure_7.png`: the mean of the first one's heads, lit onto the grey photograph, with every
  class above 10 %, as in the CaiT paper (https://arxiv.org/abs/2103.17239). For CaiT only.
- `layers_by_heads.png`: every head of every self-attention block, and their average.

Without `-m` it is the small CaiT in the package. Its self-attention has no class token: there each
patch's share of all patches' attention is shown.
"""

import argparse
import pathlib

import numpy as np

import kerasvit
from kerasvit.images import Preprocessing, read
from kerasvit.render import Panel, layer_sheet, overlay, saliency_sheet, sheet, write_png
from kerasvit.saliency import explain, explain_blocks, normalise

LIKELY = 0.1


def main(arguments=None):
    """Draw what the model can show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph")
    parser.add_argument("-m", "--model", default=None, help="a .keras file, or a release")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("pictures"))
    parser.add_argument("--resize", type=int, help="shorter side that the model sees; DINO: 480")
    options = parser.parse_args(arguments)
    model = kerasvit.from_pretrained(*filter(None, [options.model]))
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    image = read(options.photograph)
    prepared = preprocessing.keep_aspect(image, options.resize, patch_size=model.patch_size)
    drawn = {
        "dino_heads": dino_heads(model, image, prepared),
        "layers_by_heads": layers_by_heads(model, image, prepared),
    }
    if getattr(model, "num_class_layers", 0):
        drawn["cait_figure_6"] = cait_figure_6(model, image, prepared)
        drawn["cait_figure_7"] = cait_figure_7(model, image, prepared)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        write_png(options.output / f"{name}.png", picture, overwrite=True)
        print(options.output / f"{name}.png")


def self_attention(model, prepared, layers):
    """Return the heads' maps `(heads, rows, columns)` of some blocks by key."""
    query = "patches" if getattr(model, "num_class_layers", 0) else "class"
    blocks = explain_blocks(model, prepared.pixels[None], layers, stage="sa", query=query)
    return {key: result.values[0] for key, result in blocks.items()}


def dino_heads(model, image, prepared):
    """Draw the photograph, the mean of the last block's heads, and each of them."""
    maps = self_attention(model, prepared, ["last"])
    (heads,) = maps.values()
    return saliency_sheet(
        image, maps, heads.mean(axis=0), prepared.geometry, colormap="inferno",
        interpolation="nearest",
    )  # fmt: skip


def layers_by_heads(model, image, prepared):
    """Draw the photograph, the average attention, and each head of each block."""
    maps = self_attention(model, prepared, "all")
    maps = {key: heads[None] for key, heads in maps.items()}
    return layer_sheet([image], maps, [prepared.geometry], colormap="viridis")


def cait_figure_6(model, image, prepared):
    """Draw the photograph, the mean of the first block's heads, and a row of heads a block."""
    blocks = explain_blocks(model, prepared.pixels[None], "all", stage="ca")
    maps = {key: result.values[0] for key, result in blocks.items()}
    first = next(iter(maps.values())).mean(axis=0)
    return saliency_sheet(image, maps, first, prepared.geometry)


def cait_figure_7(model, image, prepared):
    """Draw the photograph beside itself as the first class-attention block lights it."""
    result = explain(model, prepared.pixels[None], layer="first", stage="ca")
    placed = prepared.geometry.place(normalise(result.values).values[0], interpolation="bicubic")
    panels = [Panel(image, "photograph"), Panel(overlay(image, placed, style="modulate"))]
    return sheet(panels, columns=2, lines=[", ".join(likely_classes(model, result.logits[0]))])


def likely_classes(model, logits):
    """Return every class above 10 %, the most probable first."""
    names = model.record.get("class_names") or [f"class {index}" for index in range(len(logits))]
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = [index for index in np.argsort(-shares) if shares[index] > LIKELY]
    return [f"{names[index]} {shares[index]:.0%}" for index in order]


if __name__ == "__main__":
    main()
