"""Peak memory and time of a conversion, against the checkpoint's size.

    python benchmarks/conversion_memory.py [--model vit_base_patch16_224] [--formats safetensors]

makes a checkpoint with random weights, converts it in a process of its own (read, assigned,
compared with timm unless --no-verify, written, reloaded, compared) and prints the peak of the
resident memory above that of the imports and a tiny model, in multiples of the checkpoint's size.
The bar is 2.5.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

BAR = 2.5


def peak():
    """Return the largest resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def make(path, name, image_size):
    """Write a checkpoint of a timm model with random weights, one tensor in memory at a time."""
    import numpy as np
    import torch

    from kerasvit.conversion.proof.timm.package import import_timm

    arguments = {"img_size": image_size} if image_size else {}
    with torch.device("meta"):
        module = import_timm().create_model(name, **arguments)
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    random = np.random.default_rng(0)

    def values(shape):
        return random.standard_normal(shape, "float32") * np.float32(0.02)

    if path.suffix == ".safetensors":
        write_safetensors(path, shapes, values)
    else:
        torch.save({key: torch.from_numpy(values(shape)) for key, shape in shapes.items()}, path)


def write_safetensors(path, shapes, values):
    """Write a safetensors file tensor by tensor."""
    header, end = {}, 0
    for key, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            file.write(values(shape))


def warm_up(path):
    """Run a tiny model once: what saving and compiling import takes up to 400 MiB."""
    import numpy as np

    import kerasvit

    sizes = {"hidden_dim": 8, "num_layers": 1, "num_heads": 1, "mlp_dim": 8}
    kerasvit.VisionTransformer(image_shape=(16, 16, 3), patch_size=8, **sizes).save(path)
    kerasvit.from_pretrained(path)(np.zeros((1, 16, 16, 3), "float32"))


def convert(path, name, image_size, verify):
    """Run `kerasvit convert` in this process, and print the figures as JSON."""
    from kerasvit.cli import main
    from kerasvit.conversion.proof.timm.package import import_timm

    import_timm()
    warm_up(path.with_name("warm_up.keras"))
    start_peak, start = peak(), time.perf_counter()
    command = ["convert", str(path), "-m", name, "-o", str(path.with_suffix(".keras"))]
    command += ["--image-size", str(image_size), str(image_size)] if image_size else []
    command += [] if verify else ["--no-verify"]
    if code := main(command):
        sys.exit(code)
    print(json.dumps({"start": start_peak, "peak": peak(), "seconds": time.perf_counter() - start}))


def measure(path, options):
    """Run the conversion in a child, and return its figures."""
    command = [sys.executable, __file__, "--child", str(path), "--model", options.model]
    command += ["--image-size", str(options.image_size)] if options.image_size else []
    command += ["--no-verify"] if options.no_verify else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--formats", nargs="+", default=["safetensors", "pth"])
    parser.add_argument("--no-verify", action="store_true")
    parser.add_argument("--child", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        return make(options.make, options.model, options.image_size)
    if options.child:
        return convert(options.child, options.model, options.image_size, not options.no_verify)
    missed = False
    for suffix in options.formats:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"weights.{suffix}"
            command = [sys.executable, __file__, "--make", str(path), "--model", options.model]
            command += ["--image-size", str(options.image_size)] if options.image_size else []
            subprocess.run(command, check=True, capture_output=True)
            size = path.stat().st_size
            figures = measure(path, options)
        ratio = (figures["peak"] - figures["start"]) / size
        missed |= ratio > BAR
        print(
            f"{options.model} {suffix}: {size / 2**20:.0f} MiB, {os.environ.get('KERAS_BACKEND')}, "
            f"imports {figures['start'] / 2**20:.0f} MiB, peak {figures['peak'] / 2**20:.0f} MiB, "
            f"{ratio:.2f} times the checkpoint (bar {BAR}), {figures['seconds']:.1f} s"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
