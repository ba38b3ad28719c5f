"""Faults of pictures and requests: one line that names them, the documented exit code, no harm.

Promises 32 to 49 of docs/development/promises.md.
"""

import json
import os
import subprocess
import sys

import numpy as np
import PIL
import pytest
from PIL import Image

import kerasvit

ARRAYS = ("--format", "npz")


@pytest.fixture
def saliency(run, tmp_path):
    """Run the command into a folder of its own; return its result."""

    def command(*arguments, folder="out"):
        return run("saliency", "-o", tmp_path / folder, *arguments)

    return command


def arrays_of(tmp_path, name, folder="out"):
    with np.load(tmp_path / folder / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def picture(size=(36, 24)):
    """Return a picture whose every part differs; `size` is width and height."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    values = np.stack([rows * 9, columns * 6, rows * columns], -1) % 256
    return Image.fromarray(values.astype(np.uint8))


# ---- files that are no whole picture ----------------------------------------------------------


def _broken(tmp_path):
    whole = tmp_path / "whole.jpg"
    picture((96, 64)).save(whole, quality=95)
    files = {
        "text.png": b"no picture",
        "empty.png": b"",
        "page.jpg": b"<!DOCTYPE html>",
        "cut.jpg": whole.read_bytes()[:-200],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    return [*files, "missing.png", "folder.png"]


@pytest.mark.parametrize("command", ["saliency", "predict"])
def test_what_is_no_picture(run, tmp_path, one_line, command):
    names = _broken(tmp_path)
    output = ("-o", tmp_path / "out") if command == "saliency" else ()
    for name in names:
        result = run(command, tmp_path / name, *output)
        assert result.code == 3
        one_line(result.err, name)
    assert not list(tmp_path.glob("out/*.png"))


def test_the_number_of_pixels_has_a_limit_that_can_be_raised(
    saliency, tmp_path, one_line, monkeypatch
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    path = tmp_path / "large.png"
    picture((40, 30)).save(path)
    result = saliency(path, "--max-pixels", "1199", *ARRAYS)
    assert result.code == 3
    one_line(result.err, "large.png", "40 x 30")
    assert saliency(path, "--max-pixels", "1200", *ARRAYS).code == 0
    assert saliency(path, "--max-pixels", "0", *ARRAYS).code == 2


def test_a_frame_of_an_animation_can_be_chosen(saliency, tmp_path, one_line, caplog):
    path = tmp_path / "moving.gif"
    frames = [picture(), picture().rotate(180)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    for index, frame in enumerate(frames):
        frame.quantize(256).convert("RGB").save(tmp_path / f"still{index}.png")
    assert saliency(path, *ARRAYS).code == 0
    assert "several pictures" in caplog.text
    first = arrays_of(tmp_path, "moving.npz")["attention"]
    assert saliency(path, "--frame", "1", "--overwrite", *ARRAYS).code == 0
    second = arrays_of(tmp_path, "moving.npz")["attention"]
    assert np.abs(first - second).max() > 1e-3
    result = saliency(path, "--frame", "2", "--overwrite", *ARRAYS)
    assert result.code == 3
    one_line(result.err, "moving.gif", "frame 2")


# ---- pictures that need care ------------------------------------------------------------------


def test_the_map_of_a_turned_picture_is_that_of_the_upright_one(saliency, tmp_path):
    upright = np.asarray(picture())
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }
    for orientation, stored in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.ascontiguousarray(stored))
        image.save(tmp_path / f"{orientation}.png", exif=exif)
    assert saliency(*(tmp_path / f"{turn}.png" for turn in turns), *ARRAYS).code == 0
    expected = arrays_of(tmp_path, "1.npz")
    assert expected["original_size"].tolist() == [24, 36]
    for orientation in turns:
        found = arrays_of(tmp_path, f"{orientation}.npz")
        np.testing.assert_allclose(found["attention"], expected["attention"], atol=1e-6)


@pytest.mark.parametrize("mode", ["I;16", "CMYK", "L", "1", "P", "LA", "RGBA", "YCbCr", "LAB"])
def test_every_mode_is_drawn(saliency, tmp_path, mode):
    if mode == "YCbCr" and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow 12 does not read the uncompressed YCbCr TIFF that it writes")
    path = tmp_path / ("p.tif" if mode in ("CMYK", "YCbCr", "LAB") else "p.png")
    image = picture((48, 32))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode == "LAB":
        image = Image.frombytes("LAB", image.size, image.tobytes())
    else:
        image = image.convert(mode)
    image.save(path)
    result = saliency(path)
    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "p.overlay.png") as overlay:
        assert overlay.size == (48, 32)


def test_an_extreme_aspect_is_refused_before_it_fills_the_memory(saliency, tmp_path, one_line):
    path = tmp_path / "thread.png"
    Image.new("RGB", (50_000, 1)).save(path)
    result = saliency(path)
    assert result.code == 3
    one_line(result.err, "thread.png", "1x50000", "--fit crop")


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 1)])
def test_smaller_than_a_patch(saliency, tmp_path, one_line, size):
    path = tmp_path / "dot.png"
    Image.new("RGB", size, "red").save(path)
    assert saliency(path).code == 0
    result = saliency(path, "--fit", "exact", folder="exact")
    assert result.code == 3
    one_line(result.err, "at least 4 x 4")


def test_what_fills_no_patch_is_cut_and_reported(saliency, tmp_path):
    path = tmp_path / "odd.png"
    picture((39, 30)).save(path)
    assert saliency(path, "--fit", "exact", "--style", "blend").code == 0
    arrays = arrays_of(tmp_path, "odd.npz")
    assert arrays["attention"].shape == (7, 9)
    assert arrays["box"].tolist() == [0, 0, 28, 36]
    overlay = np.asarray(Image.open(tmp_path / "out" / "odd.overlay.png")).astype(int)
    # Grey where the model saw nothing.
    assert not np.ptp(overlay[28:], axis=-1).any()
    assert not np.ptp(overlay[:, 36:], axis=-1).any()
    assert np.ptp(overlay[:28, :36], axis=-1).all()


# ---- names ------------------------------------------------------------------------------------

NAMES = ["ünï çödé 猫.png", "שלום.png", "with  spaces .png", "-minus.png", "two\nlines.png"]
NAMES += ["é" * 125 + ".png", 'quote\'s "mark".png', "a.overlay.png", "[1].png"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_round_trips(saliency, tmp_path, name):
    path = tmp_path / name
    picture().save(path)
    result = saliency(path)
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (entry,) = manifest["pictures"]
    assert entry["file"] == str(path)
    stem = name.removesuffix(".png")
    stem = stem if len(os.fsencode(stem)) < 200 else stem[:121]
    assert {file.name for file in (tmp_path / "out").glob("*.npz")} == {f"{stem}.npz"}
    assert all((tmp_path / "out" / file).is_file() for file in entry["outputs"])


def test_a_name_that_is_no_unicode(saliency, tmp_path):
    name = os.fsdecode(b"\xff\xfe.png")
    picture().save(tmp_path / "plain.png")
    os.rename(tmp_path / "plain.png", tmp_path / name)
    result = saliency(tmp_path / name)
    assert result.code == 0, result.err
    assert (tmp_path / "out" / name).exists()


def test_a_name_that_begins_with_a_dash_in_the_working_folder(saliency, tmp_path, monkeypatch):
    picture().save(tmp_path / "-m.png")
    monkeypatch.chdir(tmp_path)
    assert saliency(*ARRAYS, "--", "-m.png").code == 0
    assert (tmp_path / "out" / "-m.npz").exists()


# ---- many pictures ----------------------------------------------------------------------------


def test_pictures_of_many_sizes_with_a_bad_one(saliency, tmp_path):
    sizes = {"a": (36, 24), "b": (24, 36), "d": (50, 50)}
    for name, size in sizes.items():
        picture(size).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"")
    result = saliency(tmp_path, *ARRAYS)
    assert result.code == 3
    assert len(result.err.splitlines()) == 1
    assert "c.png" in result.err
    for name, size in sizes.items():
        assert arrays_of(tmp_path, f"{name}.npz")["original_size"].tolist() == [*size[::-1]]
    result = saliency(tmp_path, *ARRAYS, "--fail-fast", folder="fast")
    assert result.code == 3
    assert {path.name for path in (tmp_path / "fast").glob("*.npz")} == {"a.npz", "b.npz"}


# ---- scores -----------------------------------------------------------------------------------


def _changed(small_vit, path, change):
    model = kerasvit.from_pretrained(small_vit)
    for block in model.blocks:
        for weight in block.attention.qkv.weights:
            weight.assign(change(np.zeros(weight.shape, np.float32)))
    model.save(path)
    return path


def test_equal_scores_are_said_to_be_equal(saliency, small_vit, tmp_path):
    model = _changed(small_vit, tmp_path / "even.keras", lambda zeros: zeros)
    path = tmp_path / "picture.png"
    picture().save(path)
    result = saliency(path, "-m", model)
    assert result.code == 0
    assert "every patch has the same value: relevance, attention" in result.err
    arrays = arrays_of(tmp_path, "picture.npz")
    np.testing.assert_allclose(arrays["attention"], 1 / (2 + arrays["attention"].size), rtol=1e-5)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["pictures"][0]["flat"] == ["relevance", "attention"]


def test_a_constant_picture_is_drawn(saliency, tmp_path):
    path = tmp_path / "grey.png"
    Image.new("RGB", (40, 30), (90, 90, 90)).save(path)
    assert saliency(path).code == 0


def test_scores_that_are_no_numbers(saliency, small_vit, tmp_path, one_line):
    model = _changed(small_vit, tmp_path / "nan.keras", lambda zeros: zeros * np.nan)
    path = tmp_path / "picture.png"
    picture().save(path)
    result = saliency(path, "-m", model)
    assert result.code == 3
    one_line(result.err, "NaN")
    assert not list((tmp_path / "out").glob("*.png"))


# ---- what is not there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "needles"),
    [
        (("--layer", "2"), ["layer=2", "sa_ffn_block_00_att", "sa_ffn_block_01_att"]),
        (("--layer", "sa_ffn_block_7_att"), ["sa_ffn_block_01_att"]),
        (("--head", "2"), ["heads=2", "'mean'", "from 0 to 1"]),
        (("--head", "median"), ["'median'", "'mean'"]),
        (("--stage", "ca"), ["'ca'", "'sa'"]),
        (("--query", "register"), ["'register'", "'class', 'distillation'"]),
        (("--query", "9,0"), ["(9, 0)", "4x6"]),
        (("--method", "class_attention_rollout"), ["class attention", "method='rollout'"]),
        (("--method", "legrad", "--class", "dog"), ["'dog'", "from 0 to 2"]),
    ],
)
def test_what_a_model_lacks_is_a_usage_error_that_lists_what_it_has(
    saliency, small_vit, tmp_path, one_line, arguments, needles
):
    path = tmp_path / "picture.png"
    picture().save(path)
    result = saliency(path, "-m", small_vit, *arguments)
    assert result.code == 2
    one_line(result.err, *needles)
    assert not (tmp_path / "out").exists()


# ---- outputs ----------------------------------------------------------------------------------


def test_an_output_that_exists_is_refused_before_any_work(saliency, tmp_path, one_line):
    path = tmp_path / "picture.png"
    picture().save(path)
    for name in ("picture.png", "picture.overlay.png", "picture.npz"):
        out = tmp_path / name.replace(".", "_")
        out.mkdir()
        (out / name).write_bytes(b"old")
        result = saliency(path, folder=out.name)
        assert result.code == 5
        one_line(result.err, name, "--overwrite")
        assert (out / name).read_bytes() == b"old"
        assert [file.name for file in out.iterdir()] == [name]


def test_outputs_that_would_coincide_get_names_of_their_own(saliency, tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b/a.png", "b/A.jpg", "a.overlay.png")]
    (tmp_path / "b").mkdir()
    for path in paths:
        picture().save(path)
    assert saliency(*paths).code == 0
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text())["pictures"]
    names = [name.casefold() for entry in entries for name in entry["outputs"]]
    assert len(names) == len(set(names)) == 12


def test_an_input_is_never_overwritten(saliency, tmp_path, one_line):
    path = tmp_path / "out" / "a.png"
    path.parent.mkdir()
    picture().save(path)
    before = path.read_bytes()
    result = saliency(path, "--overwrite")
    assert result.code == 5
    one_line(result.err, "a.png", "both")
    assert path.read_bytes() == before


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be(saliency, tmp_path, one_line, folder):
    (tmp_path / "file").write_text("")
    picture().save(tmp_path / "a.png")
    result = saliency(tmp_path / "a.png", folder=folder)
    assert result.code == 5
    one_line(result.err, "file")


def test_a_bad_backend_is_one_line_with_the_three_names(tmp_path, one_line):
    command = [sys.executable, "-m", "kerasvit", "saliency", str(tmp_path)]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "theano"}
    )
    assert result.returncode == 2
    one_line(result.stderr, "jax, tensorflow, torch", "'theano'")
