"""`kerasvit features`."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of different shapes, with something in them."""
    random = np.random.default_rng(0)
    paths = []
    for name, size in (("one.png", (120, 80)), ("two.png", (64, 96))):
        pixels = random.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        paths.append(tmp_path / name)
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(paths[-1])
    return paths


@pytest.fixture
def features(run, pictures, small_vit, tmp_path):
    """Run a kind of the command on the two pictures; return its result and the folder."""

    def command(kind, *arguments, inputs=pictures):
        out = tmp_path / "out"
        return run("features", kind, *inputs, "-m", small_vit, "-o", out, *arguments), out

    return command


def arrays_of(path):
    with np.load(path) as arrays:
        found = {key: arrays[key] for key in arrays.files}
    return found, json.loads(str(found.pop("header")))


@pytest.mark.backend
def test_components(features):
    result, out = features("pca", "--threshold", "0.1", "--foreground", "high")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [str(out / "pca.png"), str(out / "pca.npz")]
    arrays, header = arrays_of(out / "pca.npz")
    assert [picture["grid"] for picture in header["pictures"]] == [[4, 6], [6, 4]]
    assert arrays["colours_0"].shape == (4, 6, 3)
    assert arrays["mask_1"].shape == (6, 4)
    assert (arrays["mask_1"] == (arrays["first_1"] > 0.1)).all()


@pytest.mark.parametrize(
    ("arguments", "patch"),
    [(("--patch", "3,1"), [3, 1]), (("--pixel", "79,119"), [3, 5]), ((), [2, 3])],
)
def test_likeness_to_a_patch_of_the_first_picture(features, arguments, patch):
    result, out = features("similarity", *arguments, "--format", "svg,npz", "--block", "0")
    assert result.code == 0, result.err
    assert sorted(file.name for file in out.iterdir()) == ["similarity.npz", "similarity.svg"]
    arrays, header = arrays_of(out / "similarity.npz")
    assert header["patch"] == patch
    assert arrays["similarity_0"][tuple(patch)] == pytest.approx(1)
    assert arrays["similarity_1"].shape == (6, 4)


def test_matches(features):
    result, out = features("match", "--top", "3")
    assert result.code == 0, result.err
    arrays, _ = arrays_of(out / "match.npz")
    record = json.loads((out / "match.json").read_text())
    assert record["model"] == "small_vit.keras"
    assert 0 < len(record["matches"]) <= 3
    pair = record["matches"][0]
    assert pair["patches"] == [arrays["first"][0].tolist(), arrays["second"][0].tolist()]
    row, column = pair["patches"][1]
    # The second picture, 96x64 pixels, is 6x4 patches of 16.
    assert pair["pixels"][1] == [16 * row + 8, 16 * column + 8]
    assert pair["similarity"] == pytest.approx(float(arrays["similarity"][0]))
    result, _ = features("match", "--foreground-only", "--overwrite", "--format", "json")
    assert result.code == 0, result.err
    assert len(json.loads((out / "match.json").read_text())["matches"]) <= 24


@pytest.mark.parametrize(
    ("kind", "arguments", "code", "needles"),
    [
        ("pca", ("--top", "3"), 2, ["--top is for match", "pca"]),
        ("match", ("--patch", "1,1"), 2, ["--patch is for similarity"]),
        ("match", ("--threshold", "1"), 2, ["--foreground-only"]),
        ("similarity", ("--patch", "1,1", "--pixel", "3,3"), 2, ["--patch and --pixel"]),
        ("similarity", ("--patch", "1"), 2, ["--patch '1'", "--patch 3,5"]),
        ("similarity", ("--patch", "9,1"), 2, ["(9, 1)", "(3, 5)"]),
        ("similarity", ("--pixel", "80,1"), 2, ["rows 0 to 80"]),
        ("similarity", ("--format", "json"), 2, ["'json'", "npz"]),
        ("pca", ("--block", "7"), 2, ["from -2 to 1"]),
        ("pca", ("--threshold", "99"), 3, ["4 patches"]),
    ],
)
def test_what_cannot_be_drawn(features, one_line, kind, arguments, code, needles):
    result, out = features(kind, *arguments)
    assert result.code == code
    one_line(result.err, *needles)
    assert not out.exists() or not list(out.iterdir())


def test_pictures_that_cannot_be_read(features, pictures, one_line, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    result, out = features("pca", inputs=[*pictures, bad])
    assert result.code == 3
    one_line(result.err, "bad.png")
    assert len(arrays_of(out / "pca.npz")[1]["pictures"]) == 2
    assert features("similarity", inputs=[bad, *pictures])[0].code == 3
    assert features("match", inputs=[pictures[0], bad])[0].code == 3
    result, _ = features("match", inputs=pictures[:1])
    assert result.code == 2
    one_line(result.err, "two pictures", "Received: 1")
