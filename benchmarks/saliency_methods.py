"""Every saliency method by every metric, on real pictures, with the seconds that each takes.

    KERAS_BACKEND=torch python -m benchmarks.saliency_methods --model cait_nano_patch4_32.cifar10 \\
        --cifar10 ../shared/data/cifar10-jpeg.zip --count 100 -o cait.json
    KERAS_BACKEND=torch python -m benchmarks.saliency_methods --model dinov2_vits14.keras \\
        --pictures ../shared/data/images --count 16 --resize 112 -o dinov2.json
    python -m benchmarks.saliency_methods --report cait.json dinov2.json

Seconds are CPU time, which on one thread (OMP_NUM_THREADS=1) is what an idle machine takes. A run
that was cut short goes on where it stopped. The last command writes a Markdown table and a plot
beside each file. The model is asked what it sees: a class is the one that it gives first, and a
model without classes is watched by its feature (see `kerasvit.evaluation.evaluate_saliency`).
"""

import argparse
import io
import json
import os
import pathlib
import statistics
import time
import zipfile

import numpy as np

from benchmarks.harness import machine

METRICS = ("perturbation", "insertion_deletion", "grid_pointing", "infidelity")
# Metric and number in the report, title, and whether more is better.
COLUMNS = (
    ("perturbation", "positive", "positive", False),
    ("perturbation", "negative", "negative", True),
    ("insertion_deletion", "insertion", "insertion", True),
    ("insertion_deletion", "deletion", "deletion", False),
    ("grid_pointing", "share", "mosaic share", True),
    ("grid_pointing", "pointing", "mosaic peak", True),
    ("infidelity", "mean", "infidelity", False),
)
# Methods with other options than their own defaults, where these make a difference.
VARIANTS = {
    "grad_attention, weights=patch": ("grad_attention", {"weights": "patch"}),
    "gradcam, weights=patch": ("gradcam", {"weights": "patch"}),
    "smoothgrad, times_input=1": ("smoothgrad", {"times_input": True}),
    "smoothgrad, times_input=1, noise=0.3": ("smoothgrad", {"times_input": True, "noise": 0.3}),
}
# Pictures that are timed one by one; fewer where they take more than so many seconds together.
TIMED, SLOW = 7, 20.0


def main():
    """Measure, or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", nargs="+", type=pathlib.Path, help="files to draw")
    parser.add_argument("--model", default="cait_nano_patch4_32.cifar10")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--pictures", type=pathlib.Path, help="a folder")
    source.add_argument("--cifar10", type=pathlib.Path, help="a zip of test/CLASS/NNNN.jpg")
    parser.add_argument("--count", type=int, default=100, help="of pictures at most")
    parser.add_argument("--resize", type=int, help="shorter side that the model sees")
    parser.add_argument("--methods", help="some, separated by semicolons; all by default")
    parser.add_argument("--mosaics", type=int, default=32)
    parser.add_argument("--steps", type=int, default=28, help="of insertion and deletion")
    parser.add_argument("--rise-masks", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("methods.json"))
    options = parser.parse_args()
    if options.report:
        for path in options.report:
            report(path)
    else:
        measure(options)


def measure(options):
    """Evaluate each method that the output does not have yet."""
    import kerasvit
    from kerasvit.saliency import METHODS

    model = kerasvit.from_pretrained(options.model, attention="none")
    pixels = read_pixels(model, options)
    found = json.loads(options.output.read_text()) if options.output.exists() else None
    found = found or {"model": pathlib.Path(options.model).name, "methods": {}}
    found |= {"input": list(pixels.shape), "machine": machine.describe(threads())}
    methods = options.methods.split(";") if options.methods else (*METHODS, *VARIANTS)
    for method in methods:
        if method in found["methods"] or not fits(model, method):
            continue
        found |= one_method(model, pixels, method, options, found["methods"])
        options.output.write_text(json.dumps(found, indent=1) + "\n")


def one_method(model, pixels, name, options, before):
    """Return the report with one more method."""
    from kerasvit.evaluation import evaluate_saliency

    method, own = VARIANTS.get(name, (name, {}))
    own = {"masks": options.rise_masks} if method == "rise" else own
    seconds = seconds_each(model, pixels, method, own)
    print(f"{name}: {seconds:.3f} s a picture", flush=True)
    started = time.process_time()
    report = evaluate_saliency(
        *(model, pixels, [method], METRICS),
        options={method: own},
        batch_size=options.batch_size,
        mosaics=options.mosaics,
        steps=options.steps,
    )
    measured = report["methods"][method] | {"median_seconds": seconds}
    print(f"{name}: measured in {time.process_time() - started:.0f} s of CPU time", flush=True)
    return report | {"methods": before | {name: measured}}


def threads():
    """Return how many threads the backend may use."""
    return int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def fits(model, method):
    """Tell whether a method has a meaning of its own for a model: the rollout of a CaiT is one."""
    has_class_blocks = bool(model.class_blocks)
    return method != ("rollout" if has_class_blocks else "class_attention_rollout")


def seconds_each(model, pixels, method, options):
    """Return the median CPU seconds of a single picture."""
    from kerasvit.saliency import explain

    rounds = []
    # The first one compiles and is not counted.
    for index in range(TIMED + 1):
        started = time.process_time()
        explain(model, pixels[index : index + 1], method, batch_size=32, **options)
        rounds.append(time.process_time() - started)
        if sum(rounds) > SLOW and index:
            break
    return statistics.median(rounds[1:])


def read_pixels(model, options):
    """Return the pictures as the model takes them, `(B, h, w, 3)`."""
    import dataclasses

    from kerasvit.images import Preprocessing, read, resolve
    from kerasvit.images.cropping import aspect_size

    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    if options.resize:
        size = aspect_size(preprocessing.image_size, options.resize, model.patch_size)
        preprocessing = dataclasses.replace(preprocessing, image_size=size)
    if options.pictures:
        paths = resolve([str(options.pictures)])
        count = min(options.count, len(paths))
        images = (read(paths[index * len(paths) // count]) for index in range(count))
    else:
        images = cifar10(options.cifar10, options.count)
    return np.stack([preprocessing.evaluate(image).pixels for image in images])


def cifar10(path, count):
    """Yield test pictures, as many of each class, from the first on."""
    from PIL import Image

    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if "test/" in name and ".jpg" in name)
        each = len(names) // 10
        for name in [names[k * each + i] for i in range(count // 10) for k in range(10)]:
            with Image.open(io.BytesIO(archive.read(name))) as picture:
                yield np.array(picture.convert("RGB"))


def report(path):
    """Write the Markdown table and the plot beside a report, and print the table."""
    found = json.loads(path.read_text())
    text = table(found)
    path.with_suffix(".md").write_text(text + "\n")
    print(text)
    draw(found, path.with_suffix(".png"))


def table(found):
    """Return the table of a report: a line for each method, the best three of a column bold."""
    titles = [f"{title} {'↑' if rising else '↓'}" for _, _, title, rising in COLUMNS]
    lines = [["method", *titles, "seconds"], ["---"] + ["---:"] * (len(titles) + 1)]
    columns = [
        [values[metric].get(name) for values in found["methods"].values()]
        for metric, name, _, _ in COLUMNS
    ]
    cells = [marked(column, rising) for column, (*_, rising) in zip(columns, COLUMNS, strict=True)]
    for index, (method, values) in enumerate(found["methods"].items()):
        row = [column[index] for column in cells]
        lines.append([f"`{method}`", *row, f"{values['median_seconds']:.3g}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def marked(values, rising, best=3):
    """Return the numbers of a column as text, the best ones bold where there are enough."""
    known = sorted((value for value in values if value is not None), reverse=rising)
    known = known[:best] if len(known) > best + 1 else []
    return [
        "-" if value is None else f"**{value:.3f}**" if value in known else f"{value:.3f}"
        for value in values
    ]


def draw(found, path):
    """Draw what a method's maps are worth against the seconds that they take."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    sides = (
        ("perturbation", lambda one: one["negative"] - one["positive"], "negative - positive"),
        ("grid_pointing", lambda one: one["share"], "share in the right picture of a mosaic"),
    )
    for axis, (metric, value, label) in zip(panels, sides, strict=True):
        for method, values in found["methods"].items():
            if "skipped" in values[metric]:
                continue
            point = values["median_seconds"], value(values[metric])
            axis.plot(*point, "o", color="C0", markersize=4)
            axis.annotate(method, point, xytext=(4, 3), textcoords="offset points", fontsize=7)
        axis.set(xscale="log", xlabel="seconds a picture", ylabel=label)
        axis.margins(x=0.25)
        axis.grid(alpha=0.3)
    panels[1].axhline(0.25, ls=":", color="grey", lw=1)
    figure.suptitle(f"{found['model']}, {found['n']} pictures of {found['input'][1]} pixels")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
