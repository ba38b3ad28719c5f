"""`kerasvit saliency` and `kerasvit predict` on good and bad pictures."""

import numpy as np
import pytest
from PIL import Image

import kerasvit


@pytest.mark.backend
def test_writes_sheet_overlay_and_arrays(run, photograph, tmp_path):
    result = run("saliency", photograph, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert str(photograph) in result.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("photograph.png", "photograph.overlay.png", "photograph.npz", "manifest.json"),
    }
    with Image.open(tmp_path / "out" / "photograph.overlay.png") as overlay:
        assert overlay.size == (144, 96)
    with np.load(tmp_path / "out" / "photograph.npz") as arrays:
        assert arrays["ca_ffn_block_00_att"].shape == (4, 8, 12)
        assert arrays["ca_ffn_block_01_att"].shape == (4, 8, 12)
        blocks = np.stack([arrays["ca_ffn_block_00_att"], arrays["ca_ffn_block_01_att"]])
        np.testing.assert_allclose(arrays["attention"], blocks.mean((0, 1)), atol=1e-7)
        assert arrays.files[:2] == ["relevance", "attention"]
        assert arrays["relevance"].shape == (8, 12)


def test_attention_asked_for_by_name_is_that_of_the_first_block(run, photograph, tmp_path):
    for name, options in (("method", ("--method", "attention")), ("layer", ("--layer", "0"))):
        result = run("saliency", photograph, "-o", tmp_path / name, *options)
        assert result.code == 0, result.err
        with np.load(tmp_path / name / "photograph.npz") as arrays:
            assert arrays.files[0] == "attention"
            assert "relevance" not in arrays
            first = arrays["ca_ffn_block_00_att"].mean(0)
            np.testing.assert_allclose(arrays["attention"], first, atol=1e-7)


def test_arrays_are_the_models_own_scores(run, photograph, tmp_path):
    from keras import ops

    from kerasvit.images import Preprocessing, read

    run("saliency", photograph, "-o", tmp_path / "out")
    model = kerasvit.from_pretrained()
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    pixels = preprocessing.keep_aspect(read(photograph), patch_size=model.patch_size).pixels
    scores = ops.convert_to_numpy(model(pixels[None])[2]["ca_ffn_block_01_att"])
    with np.load(tmp_path / "out" / "photograph.npz") as arrays:
        np.testing.assert_allclose(
            arrays["ca_ffn_block_01_att"].reshape(4, -1), scores[0, :, 0, 1:], atol=1e-6
        )


def test_options_choose_the_block_the_head_and_the_size(run, photograph, tmp_path):
    result = run(
        *("saliency", photograph, "-o", tmp_path / "out", "--stage", "sa", "--layer", "-1"),
        *("--head", "2", "--query", "1,2", "--resize", "64"),
    )
    assert result.code == 0, result.err
    with np.load(tmp_path / "out" / "photograph.npz") as arrays:
        assert arrays["sa_ffn_block_05_att"].shape == (4, 16, 24)
    result = run(
        *("saliency", photograph, "-o", tmp_path / "out", "--layer", "1", "--overwrite"),
        *("--head", "2", "--resize", "64", "--mass", "0.5"),
    )
    assert result.code == 0, result.err
    with np.load(tmp_path / "out" / "photograph.npz") as arrays:
        assert arrays["attention"].shape == (16, 24)
        assert "ca_ffn_block_00_att" not in arrays
        np.testing.assert_array_equal(arrays["attention"], arrays["ca_ffn_block_01_att"][2])


def test_existing_output_is_refused_before_any_work(run, photograph, tmp_path, one_line):
    out = tmp_path / "out"
    out.mkdir()
    (out / "photograph.npz").write_bytes(b"old")
    result = run("saliency", photograph, "-o", out)
    assert result.code == 5
    one_line(result.err, "photograph.npz", "--overwrite")
    assert (out / "photograph.npz").read_bytes() == b"old"
    assert run("saliency", photograph, "-o", out, "--overwrite").code == 0


def test_two_pictures_of_one_name_get_two_outputs(run, photograph, tmp_path):
    other = tmp_path / "other" / photograph.name
    other.parent.mkdir()
    other.write_bytes(photograph.read_bytes())
    result = run("saliency", photograph, other, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert (tmp_path / "out" / "other" / "photograph.png").exists()
    assert (tmp_path / "out" / tmp_path.name / "photograph.png").exists()


def test_one_bad_picture_is_named_and_the_others_finish(run, photograph, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photograph.read_bytes()[:200])
    result = run("saliency", bad, photograph, "-o", tmp_path / "out")
    assert result.code == 3
    assert "bad.jpg" in result.err
    assert (tmp_path / "out" / "photograph.png").exists()
    assert not list((tmp_path / "out").glob("bad*"))
    assert run("saliency", bad, photograph, "-o", tmp_path / "o2", "--fail-fast").code == 3
    assert [path.name for path in (tmp_path / "o2").iterdir()] == ["manifest.json"]


def _pictures(folder, photograph):
    text = folder / "text.png"
    text.write_text("no picture")
    empty = folder / "empty.png"
    empty.write_bytes(b"")
    cut = folder / "cut.jpg"
    with Image.open(photograph) as image:
        image.save(cut, quality=95)
    cut.write_bytes(cut.read_bytes()[:-200])
    return [text, empty, cut, folder / "missing.png"]


@pytest.mark.parametrize("index", range(4))
def test_bad_picture(run, photograph, tmp_path, one_line, index):
    path = _pictures(tmp_path, photograph)[index]
    result = run("saliency", path, "-o", tmp_path / "out")
    assert result.code == 3
    one_line(result.err, path.name)


@pytest.mark.parametrize("mode", ["I;16", "CMYK", "L", "RGBA", "1x1", "EXIF"])
def test_unusual_picture(run, tmp_path, mode):
    path = tmp_path / ("p.png" if mode not in ("CMYK", "EXIF") else "p.jpg")
    if mode == "1x1":
        Image.new("RGB", (1, 1), "red").save(path)
    elif mode == "I;16":
        Image.fromarray(np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype("uint16")).save(path)
    elif mode == "EXIF":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (64, 48), "blue").save(path, exif=exif)
    else:
        Image.new(mode, (64, 48)).save(path)
    result = run("saliency", path, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "p.overlay.png") as overlay:
        assert overlay.size == {"1x1": (1, 1), "EXIF": (48, 64)}.get(mode, (64, 48))


def test_folder_of_pictures(run, photograph, tmp_path):
    result = run("saliency", photograph.parent, "-o", tmp_path / "out")
    assert result.code == 0, result.err


@pytest.mark.backend
def test_predict_prints_classes_with_probabilities(run, photograph):
    result = run("predict", photograph, "--top", "2")
    assert result.code == 0, result.err
    assert result.out.count("%") == 2


def test_sample_photograph_is_found_without_a_network(run, tmp_path):
    result = run("predict", "sample:chelsea")
    assert result.code == 0, result.err
    assert result.out.startswith("sample:chelsea: cat")  # as it was named, not where it lies
    result = run("predict", "sample:nothing")
    assert result.code == 2
    assert "chelsea" in result.err


def test_unknown_block_and_query_list_what_there_is(run, photograph, tmp_path, one_line):
    result = run("saliency", photograph, "-o", tmp_path / "out", "--layer", "7")
    assert result.code == 2
    one_line(result.err, "ca_ffn_block_01_att")
    result = run("saliency", photograph, "-o", tmp_path / "out", "--query", "1,x")
    assert result.code == 2
    one_line(result.err, "ROW,COLUMN")
