"""Make a trained model small enough for the package: weights rounded to bfloat16, compressed.

    python -m benchmarks.packing runs/xcit/model.keras cifar10_xcit_nano cifar10-jpeg.zip \
        kerasvit/pretrained/xcit_nano_patch4_32.cifar10.keras

A float32 number that bfloat16 holds ends in sixteen zeros, which deflate takes away. A recipe with
`run.precision = "mixed_bfloat16"` rounds its matrices so in every step. The packed model is
measured on all test pictures, and its record says that accuracy, not the one before.
"""

import argparse
import pathlib
import sys
import tempfile
import zipfile

from kerasvit.files import atomic_path


def rounded(model) -> None:
    """Round every weight of a model to the nearest that bfloat16 holds."""
    from keras import ops

    for weight in model.weights:
        weight.assign(ops.cast(ops.cast(weight.value, "bfloat16"), weight.dtype))


def compress(path: pathlib.Path, output: pathlib.Path) -> None:
    """Write an archive again, its members deflated, without times."""
    with (
        zipfile.ZipFile(path) as source,
        atomic_path(output, overwrite=True) as temporary,
        zipfile.ZipFile(temporary, "w") as packed,
    ):
        for name in source.namelist():
            member = zipfile.ZipInfo(name)
            packed.writestr(member, source.read(name), zipfile.ZIP_DEFLATED, compresslevel=9)


def accuracy(model, data: str) -> tuple[float, int]:
    """Return the share of the test pictures that the model gets right, and how many there are."""
    from kerasvit.images.records import recorded_preprocessing
    from kerasvit.training.accuracy import evaluate_accuracy
    from kerasvit.training.data.class_labels import scan_for

    folder = scan_for(model, data, "test")
    preprocessing = recorded_preprocessing(model.record, model.name)
    report = evaluate_accuracy(model.with_attention("none"), preprocessing, folder, batch_size=200)
    return report["top1"], report["n"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="what `kerasvit train` wrote")
    parser.add_argument("recipe", help="its recipe, whose table `about` goes into the record")
    parser.add_argument("data", help="of the recipe")
    parser.add_argument("output", type=pathlib.Path, help="RELEASE.keras")
    options = parser.parse_args()

    import kerasvit
    from kerasvit.training.recipe.reading import read_recipe

    model = kerasvit.from_pretrained(options.model)
    rounded(model)
    share, count = accuracy(model, options.data)
    about = read_recipe(options.recipe).to_dict()["about"]
    model.record["recipe"]["about"] = {**about, "release": options.output.stem}
    model.record |= {"test_accuracy": share, "test_count": count, "release": options.output.stem}
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "model.keras"
        model.save(whole)
        compress(whole, options.output)
    print(f"{100 * share:.2f} % of {count}, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
