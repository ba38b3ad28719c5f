"""What the options of `kerasvit saliency` change: methods, classes, formats, the manifest."""

import json

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit.look.models import weights_sha256

SEVERAL = ("--method", "attention,class_attention_rollout,relevance")


@pytest.fixture
def saliency(run, photograph, tmp_path):
    """Run the command on the photograph; return the result and the folder of the outputs."""

    def command(*arguments, code=0, inputs=(photograph,), folder="out"):
        result = run("saliency", *inputs, "-o", tmp_path / folder, *arguments)
        assert result.code == code, result.err
        return result, tmp_path / folder

    return command


def arrays_of(folder, name="photograph.npz"):
    with np.load(folder / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_several_methods_share_a_sheet_and_have_an_overlay_each(saliency):
    _, folder = saliency(*SEVERAL)
    overlays = sorted(path.name for path in folder.glob("*.overlay.png"))
    assert overlays == [
        f"photograph.{name}.overlay.png"
        for name in ("attention", "class_attention_rollout", "relevance")
    ]
    pictures = [np.asarray(Image.open(folder / name)) for name in overlays]
    assert all(picture.shape == (96, 144, 3) for picture in pictures)
    assert (pictures[0] != pictures[2]).any()
    arrays = arrays_of(folder)
    maps = {"attention", "class_attention_rollout", "relevance"}
    assert {key for key in arrays if arrays[key].shape == (8, 12)} == maps
    header = json.loads(str(arrays["header"]))
    assert header["maps"]["class_attention_rollout"]["layers"][0] == "sa_ffn_block_00_att"
    assert header["geometry"]["original_size"] == [96, 144]


def test_the_arrays_are_those_of_explain(saliency, photograph):
    from kerasvit.images import Preprocessing, read
    from kerasvit.saliency import explain

    options = ("--option", "rise.masks=7", "--option", "rise.seed=3", "--class", "ship")
    _, folder = saliency("--method", "rise,legrad", "--format", "npz", *options)
    model = kerasvit.from_pretrained()
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    pixels = preprocessing.keep_aspect(read(photograph), patch_size=model.patch_size).pixels
    arrays = arrays_of(folder)
    expected = explain(model, pixels[None], "rise", target="ship", masks=7, seed=3)
    np.testing.assert_allclose(arrays["rise"], expected.values[0], atol=1e-6)
    expected = explain(model, pixels[None], "legrad", target="ship")
    np.testing.assert_allclose(arrays["legrad"], expected.values[0], atol=1e-6)


def test_a_class_by_name_and_by_number_and_the_predicted_one(saliency):
    found = []
    for wanted in ("cat", "3", "ship"):
        options = ("--method", "relevance", "--format", "npz", "--overwrite")
        _, folder = saliency(*options, "--class", wanted)
        found.append(arrays_of(folder)["relevance"])
        explained = manifest_of(folder)["pictures"][0]["explained"]
        assert explained == {"relevance": {"cat": 3, "3": 3, "ship": 8}[wanted]}
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    _, folder = saliency("--method", "relevance", "--format", "npz", folder="top")
    (picture,) = manifest_of(folder)["pictures"]
    assert picture["explained"]["relevance"] == picture["class_index"]


def test_gif_goes_through_every_block(saliency):
    _, folder = saliency("--format", "gif")
    with Image.open(folder / "photograph.layers.gif") as gif:
        assert gif.n_frames == 6 + 2
        assert gif.width / (gif.height - 30) == pytest.approx(1.5, abs=0.01)
        assert gif.info["loop"] == 0
    _, folder = saliency("--format", "gif", "--stage", "ca", "--overwrite")
    with Image.open(folder / "photograph.layers.gif") as gif:
        assert gif.n_frames == 2


def test_html_holds_every_block(saliency):
    _, folder = saliency("--format", "html")
    page = (folder / "photograph.html").read_text()
    blocks = [f"sa_ffn_block_{index:02d}" for index in range(6)]
    for name in (*blocks, "ca_ffn_block_00", "ca_ffn_block_01"):
        assert name in page
    assert "photograph" in page
    assert "cait_nano_patch4_32.cifar10" in page


def test_short_names_of_queries(saliency, small_vit):
    maps = []
    for query in ("cls", "class", "dist", "distillation"):
        options = ("-m", small_vit, "--format", "npz", "--overwrite", "--query", query)
        _, folder = saliency(*options)
        maps.append(arrays_of(folder)["attention"])
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[2], maps[3])
    assert (maps[0] != maps[2]).any()


def test_mass_draws_the_mask(saliency):
    from kerasvit.saliency import mass_mask

    _, folder = saliency("--mass", "0.5", "--format", "png,npz")
    picture = np.asarray(Image.open(folder / "photograph.overlay.png")).astype(int)
    photograph = np.asarray(Image.open(folder.parent / "photograph.png")).astype(int)
    kept = mass_mask(arrays_of(folder)["relevance"], 0.5).repeat(12, 0).repeat(12, 1)
    assert (picture == photograph).all(axis=2)[kept].all()
    assert not (picture == photograph).all(axis=2)[~kept].all()


def test_masks_of_objects_end_where_patches_end(saliency, small_vit):
    pytest.importorskip("scipy")
    _, folder = saliency("-m", str(small_vit), "--method", "lost", "--style", "heatmap")
    drawn = np.asarray(Image.open(folder / "photograph.overlay.png"))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) <= 2


@pytest.mark.parametrize(
    ("options", "modes"),
    [
        (("--method", "attention"), {"cls", "none"}),
        (("--method", "attention", "--mass", "0.6"), {"cls", "none"}),
        (("--method", "attention", "--layer", "all", "--format", "png,gif"), {"cls", "none"}),
        (("--query", "1,2"), {"full", "none"}),
    ],
)
def test_attention_and_masks_never_ask_for_all_scores(
    saliency, small_vit, monkeypatch, options, modes
):
    from kerasvit.saliency import request

    seen, run_model = set(), request.run

    def watched(model, *arguments):
        seen.add(model.attention)
        return run_model(model, *arguments)

    monkeypatch.setattr(request, "run", watched)
    saliency("-m", str(small_vit), *options)
    assert seen | {"none"} == modes


def test_a_video_of_masks_never_asks_for_all_scores(saliency, small_vit, tmp_path, monkeypatch):
    from kerasvit.saliency import request

    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (48, 32), (40 * i, 90, 200 - 40 * i)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    seen, run_model = set(), request.run
    monkeypatch.setattr(
        request, "run", lambda model, *rest: (seen.add(model.attention), run_model(model, *rest))[1]
    )
    saliency("-m", str(small_vit), "--mode", "mask", "--format", "mp4", inputs=(path,))
    assert seen == {"cls"}


def test_manifest_tells_settings_model_and_pictures(saliency, photograph):
    bad = photograph.with_name("bad.png")
    bad.write_text("no picture")
    result, folder = saliency("--resize", "64", inputs=(photograph, bad), code=3)
    manifest = manifest_of(folder)
    assert manifest["model"]["name"] == "cait_nano_patch4_32.cifar10"
    assert manifest["model"]["weights_sha256"] == weights_sha256(kerasvit.from_pretrained())
    assert manifest["settings"]["resize"] == 64
    good, failed = manifest["pictures"]
    assert good["file"] == str(photograph)
    assert good["size"] == [96, 144]
    assert good["input_size"] == [64, 96]
    assert 0 < good["probability"] <= 1
    assert good["class"] in result.out
    assert all((folder / name).exists() for name in good["outputs"])
    assert good["seconds"] > 0
    assert "not a picture" in failed["error"]
    assert failed["file"] == str(bad)


def test_the_digest_is_of_the_weights_alone(small_vit):
    model = kerasvit.from_pretrained(small_vit)
    before = weights_sha256(model)
    assert weights_sha256(model.with_attention("cls")) == before
    weight = model.weights[3]
    weight.assign(weight + 1e-3)
    assert weights_sha256(model) != before


def test_a_second_run_into_the_same_folder_keeps_the_first_ones_record(saliency, photograph):
    other = photograph.with_name("other.png")
    other.write_bytes(photograph.read_bytes())
    _, folder = saliency("--format", "npz")
    first = manifest_of(folder)
    saliency("--format", "npz", inputs=(other,))
    second = manifest_of(folder)
    assert [picture["file"] for picture in second["pictures"]] == [str(other)]
    first.pop("earlier")
    assert second["earlier"] == [first]


def test_a_manifest_of_something_else_is_left_alone(saliency, tmp_path, one_line):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{}")
    result, folder = saliency(code=5)
    one_line(result.err, "manifest.json")
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


def test_animation_is_a_video_where_mp4_is_asked_for(saliency, tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (48, 32), (40 * i, 90, 200 - 40 * i)) for i in range(4)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    result, folder = saliency("--format", "gif,mp4,npz", inputs=(path,), folder="video")
    names = manifest_of(folder)["pictures"][0]["outputs"]
    assert {name.rsplit(".", 1)[1] for name in names} == {"gif", "mp4", "npz"}
    assert all((folder / name).stat().st_size for name in names)
    (npz,) = folder.glob("*.npz")
    assert arrays_of(folder, npz.name)["values"].shape == (4, 8, 12)
    assert str(path) in result.out
    _, folder = saliency("--format", "npz", inputs=(path,), folder="still")
    assert arrays_of(folder, "moving.npz")["attention"].shape == (8, 12)


@pytest.mark.parametrize(
    ("arguments", "needles"),
    [
        (("--method", "rolout"), ["'rolout'", "class_attention_rollout"]),
        (("--method", ","), ["none", "attention"]),
        (("--format", "jpg"), ["'jpg'", "html"]),
        (("--format", "mp4"), ["picture", "png, pdf, svg, npz, html, gif"]),
        (("--class", "cot", "--method", "legrad"), ["'cot'", "'cat'"]),
        (("--class", "10", "--method", "legrad"), ["from 0 to 9"]),
        (("--layer", "1", "--method", "rise"), ["--layer", "gradcam"]),
        (("--head", "1", "--method", "rise"), ["--head", "rollout"]),
        (("--resize", "64", "--fit", "crop"), ["--resize 64", "--fit crop"]),
        (("--mass", "1.5"), ["1.5"]),
        (("--colormap", "jett"), ["'jett'", "viridis"]),
        (("--option", "rollout.discard=0.5"), ["METHOD.NAME=VALUE", "rollout.discard"]),
        (("--option", "attention"), ["METHOD.NAME=VALUE"]),
        (("--method", "rise", "--option", "rise.mask=3"), ["mask", "masks"]),
        (("--method", "rollout", "--stage", "sa"), ["'mean'"]),
    ],
)
def test_wrong_options_leave_no_picture(saliency, one_line, arguments, needles):
    result, folder = saliency(*arguments, code=2)
    one_line(result.err, *needles)
    assert not list(folder.glob("*.png"))


def test_a_patch_outside_one_of_the_grids_concerns_that_picture_alone(saliency, photograph):
    tall = photograph.with_name("tall.png")
    Image.new("RGB", (32, 96), "green").save(tall)
    options = ("--query", "20,2", "--stage", "sa", "--format", "npz")
    result, folder = saliency(*options, inputs=(tall, photograph), code=3)
    assert (folder / "tall.npz").exists()
    assert "photograph.png" in result.err
    assert "8x12" in result.err
