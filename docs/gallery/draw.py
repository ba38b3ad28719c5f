"""Draw the pictures of the gallery: `python docs/gallery/draw.py BACKBONE.keras`.

Photographs of scikit-image, CC0 or in the public domain, by the CaiT and the ViT in the package and
by a converted DINOv2 ViT-S/14.
"""

import io
import pathlib
import sys
import tempfile

from PIL import Image

import kerasvit
from kerasvit.cli import main as run_command
from kerasvit.images import read, sample
from kerasvit.render import Panel, overlay, sheet
from kerasvit.saliency import METHODS, explain, plot

HERE = pathlib.Path(__file__).parent
WIDTH, QUALITY = 1200, 80
CHELSEA = "sample:chelsea"


def save(name, picture):
    """Write a picture, or a figure of Matplotlib, as a small JPEG."""
    if not isinstance(picture, Image.Image):
        with io.BytesIO() as file:
            picture.savefig(file, format="png", dpi=150, bbox_inches="tight")
            picture = Image.open(file).convert("RGB")
    picture = picture.convert("RGB")
    picture.thumbnail((WIDTH, 4 * WIDTH))
    picture.save(HERE / f"{name}.jpg", quality=QUALITY)


def all_methods(model):
    """Return a sheet with every method's map of the cat, by its own normalisation."""
    photograph = read(sample("chelsea"))
    panels = [Panel(photograph, "photograph")]
    for name, method in METHODS.items():
        result = explain(model, CHELSEA, name)
        values = result.normalise(method.normalisation).values[0]
        placed = result.geometries[0].place(values, interpolation=method.interpolation)
        panels.append(Panel(overlay(photograph, placed, colormap="inferno", style="fade"), name))
    return sheet(panels, columns=5)


def by_class(model):
    """Return a figure with what speaks for each of three classes."""
    classes = ("cat", "dog", "frog")
    maps = [explain(model, CHELSEA, "relevance", target=name) for name in classes]
    return plot(maps, titles=[f"for {name}" for name in classes])


def command(arguments, name):
    """Run `kerasvit`, and return one of the pictures that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        assert run_command([*arguments, "-o", folder]) == 0
        return Image.open(pathlib.Path(folder) / name).convert("RGB").copy()


def main(backbone):
    """Draw every picture."""
    cait = kerasvit.from_pretrained()
    dinov2 = kerasvit.from_pretrained(backbone)
    save("methods", all_methods(cait))
    save("classes", by_class(cait))
    names = ("astronaut", "rocket", "coffee")
    save("photographs", plot([explain(dinov2, f"sample:{name}") for name in names]))
    save("chelsea_cait", command(["saliency", CHELSEA], "chelsea.png"))
    for name in ("features", "distance"):
        save(name, command(["probe", CHELSEA, "-m", str(backbone)], f"{name}.png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
