"""One picture as a process: `kerasvit saliency`, and the shortest timm script that does the same.

    python -m benchmarks.first_picture PICTURE [--model vit_small_patch16_224] [--rounds 5]

Both read the picture, run the model from a file, and write the class token's map over the picture.
"""

import argparse
import pathlib
import sys
import tempfile

from benchmarks.harness.processes import Script, show
from benchmarks.harness.weights import files
from benchmarks.imports import BACKENDS

TIMM = """
import sys
from kerasvit.conversion.proof.timm.package import import_timm
timm = import_timm()
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch
from PIL import Image

name, checkpoint, picture, output = sys.argv[1:]
timm.layers.set_fused_attn(False)
model = timm.create_model(name, checkpoint_path=checkpoint).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
kept = []
last = model.blocks[-1].attn.attn_drop
last.register_forward_hook(lambda part, inputs, scores: kept.append(scores))
image = Image.open(picture).convert("RGB")
with torch.inference_mode():
    model(transform(image)[None])
rows, columns = model.patch_embed.grid_size
heat = kept[0][0, :, 0, 1:].mean(0).reshape(rows, columns)
heat = Image.fromarray(heat.numpy()).resize(image.size, Image.BICUBIC)
plt.imshow(image)
plt.imshow(heat, alpha=0.6, cmap="cividis")
plt.axis("off")
plt.savefig(output)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--model", default="vit_small_patch16_224", help="a ViT of timm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    options = parser.parse_args()
    checkpoint, converted = files(options.model)
    picture = str(options.picture.resolve())
    with tempfile.TemporaryDirectory() as folder:
        png = str(pathlib.Path(folder) / "timm.png")
        scripts = [Script("timm", ("-c", TIMM, options.model, str(checkpoint), picture, png))]
        command = ("-m", "kerasvit", "saliency", picture, "-m", str(converted), "--overwrite")
        command += ("--method", "attention")
        scripts += [
            Script(
                f"kerasvit-{backend}",
                (*command, "-o", str(pathlib.Path(folder) / backend)),
                backend,
            )
            for backend in options.backends
        ]
        show(scripts, options.rounds, reference="timm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
