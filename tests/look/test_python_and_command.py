"""The Python call writes what the command writes, byte for byte, and prints nothing."""

import pathlib

import numpy as np
import pytest
from breadth import spread
from PIL import Image

import kerasvit
from kerasvit import look
from kerasvit.cli import main
from kerasvit.errors import InputError, KerasViTError, OutputError, UsageError
from kerasvit.images import read
from kerasvit.render.video.frames import open_video

STILLS = [
    ((), {}),
    (
        ("--method", "rollout,gradcam", "--option", "rollout.discard=0.5", "--class", "cat"),
        {"method": ("rollout", "gradcam"), "options": {"rollout": {"discard": 0.5}}, "target": 3},
    ),
    (
        ("--layer", "1", "--head", "2", "--resize", "64", "--style", "modulate"),
        {"layer": 1, "heads": 2, "resize": 64, "style": "modulate"},
    ),
    (
        ("--format", "png,npz,html,gif", "--stage", "sa", "--query", "2,3", "--mass", "0.5"),
        {
            "formats": ("png", "npz", "html", "gif"),
            "stage": "sa",
            "query": (2, 3),
            "mass": 0.5,
        },
    ),
    (("--fit", "crop", "--colormap", "magma"), {"fit": "crop", "colormap": "magma"}),
]
VIDEOS = [
    ((), {}),
    (("--mode", "mask", "--mass", "0.4"), {"mode": "mask", "mass": 0.4}),
    (
        ("--mode", "overlay", "--method", "gradcam,lost", "--style", "modulate"),
        {"mode": "overlay", "method": ("gradcam", "lost"), "style": "modulate"},
    ),
]


def written(folder):
    """Return the bytes of every file but the manifest, by name."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.mark.parametrize(("options", "settings"), STILLS)
def test_stills(photograph, tmp_path, capfd, options, settings):
    assert main(["saliency", str(photograph), "-o", str(tmp_path / "command"), *options]) == 0
    capfd.readouterr()
    run = look.saliency(photograph, out=tmp_path / "python", **settings)
    assert capfd.readouterr() == ("", "")
    assert written(tmp_path / "command") == written(tmp_path / "python")
    assert {file.name for file in run.files} == set(written(tmp_path / "python"))
    assert run.manifest.is_file()


@pytest.mark.parametrize(("options", "settings"), VIDEOS)
def test_videos(animation, tmp_path, capfd, options, settings):
    pytest.importorskip("scipy")
    formats = ("mp4", "gif", "npz")
    place = ["-o", str(tmp_path / "command"), "--format", ",".join(formats)]
    assert main(["saliency", str(animation), *place, *options]) == 0
    capfd.readouterr()
    drawn = look.video(animation, out=tmp_path / "python", formats=formats, **settings)
    assert capfd.readouterr() == ("", "")
    assert written(tmp_path / "command") == written(tmp_path / "python")
    assert drawn.kind == "video"
    assert {file.name for file in drawn.files.values()} == set(written(tmp_path / "python"))


@pytest.mark.backend
def test_in_memory_it_is_the_same_as_in_the_files(shipped, photograph, tmp_path):
    settings = look.Settings(method=("attention", "relevance"))
    explainer = look.Explainer(shipped, settings)
    explained = explainer.explain(explainer.prepare(read(photograph)))
    artist = look.Artist(explainer)
    (drawn,) = look.saliency(photograph, shipped, out=tmp_path / "out", settings=settings)
    assert explained.classes == list(drawn.classes)
    for method in settings.methods:
        file = np.asarray(Image.open(drawn.files[f"{method}.overlay"]))
        np.testing.assert_array_equal(artist.overlay(explained, method), file)
    sheet = np.asarray(Image.open(drawn.files["sheet"]))
    np.testing.assert_array_equal(np.asarray(artist.sheet(explained, "photograph")), sheet)
    with np.load(drawn.files["arrays"]) as arrays:
        for name, values in artist.arrays(explained).items():
            np.testing.assert_array_equal(arrays[name], values)
    assert len(artist.layers(explained)) == 8


def test_a_bad_picture_is_an_error_or_a_record(shipped, photograph, tmp_path, capfd):
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    heard = []

    class Listener(look.Listener):
        def drew(self, picture):
            heard.append(picture.path)

        def passed_over(self, path, error):
            heard.append((path, type(error)))

    with pytest.raises(InputError, match="bad"):
        look.saliency([bad, photograph], shipped, out=tmp_path / "first")
    run = look.saliency(
        [bad, photograph],
        shipped,
        out=tmp_path / "second",
        fail_fast=False,
        listener=Listener(),
    )
    assert [drawn.path for drawn in run] == [photograph]
    assert len(run) == 1
    assert run[0].kind == "picture"
    assert list(run.failed) == [bad]
    assert heard == [(bad, InputError), photograph]
    with pytest.raises(InputError):
        look.saliency(bad, shipped, out=tmp_path / "third", fail_fast=False)
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_is_said_before_the_model_is_loaded(photograph, tmp_path):
    def refused(kind, match, **settings):
        with pytest.raises(kind, match=match) as error:
            look.saliency(photograph, "no such release", out=tmp_path / "out", **settings)
        assert isinstance(error.value, KerasViTError)
        assert "\n" not in str(error.value)
        assert "--" not in str(error.value)

    refused(UsageError, "no such method", method="rolout")
    refused(UsageError, "no such setting.*sharpness", sharpness=1)
    refused(UsageError, "layer concerns", method="rise", layer=1)
    refused(UsageError, "mode concerns", mode="mask")
    refused(UsageError, "takes masks, cells", method="rise", options={"rise": {"mask": 1}})
    refused(UsageError, "asked for", options={"rise": {"masks": 1}})
    refused(UsageError, "resize is at least 1", resize=0)
    for source in (b"bytes", [np.zeros((9, 9, 3))], 3):
        with pytest.raises(UsageError, match="in memory: kerasvit"):
            look.saliency(source, "no such release", out=tmp_path / "out")
    refused(UsageError, "frame is at least 0", frame="a")
    refused(UsageError, "A title is text", title=3)
    refused(UsageError, "The mass is a share", mass="a")
    refused(UsageError, "one map", heads="all")
    refused(UsageError, "is written as", formats="mp4")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "photograph.png").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        look.saliency(photograph, "no such release", out=tmp_path / "out")


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_inputs_and_models_are_taken_as_users_have_them(photograph, tmp_path, kind):
    model = kerasvit.from_pretrained()
    model.save(tmp_path / "mine.keras")
    runs = [
        look.saliency(kind(photograph), given, out=tmp_path / name, formats="npz")
        for name, given in (
            ("model", model),
            ("file", kind(tmp_path / "mine.keras")),
            ("release", "cait_nano_patch4_32.cifar10"),
            ("loaded", look.load_model(model)),
        )
    ]
    arrays = [written(run.folder) for run in runs]
    assert all(found == arrays[0] for found in arrays)


@pytest.mark.parametrize("mode", spread(["mask", "overlay"], ["mask"]))
def test_videos_are_drawn_as_stills_are_by_every_method(shipped, tmp_path, mode):
    """Signed maps start at 0 and masks end where patches end, in pictures, GIF and arrays alike."""
    pytest.importorskip("scipy")
    from kerasvit.saliency import METHODS

    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)).resize((48, 32), 0)
    still, moving = tmp_path / "still.png", tmp_path / "moving.gif"
    picture.save(moving, save_all=True, append_images=[picture.rotate(180)], duration=100)
    with open_video(moving) as video:
        Image.fromarray(next(iter(video))).save(still)
    settings = {
        "method": tuple(METHODS),
        "options": {"rise": {"masks": 6}, "smoothgrad": {"samples": 2}},
        "mass": 0.4 if mode == "mask" else None,
    }
    formats = ("gif", "mp4", "npz")
    video = look.video(
        moving, shipped, out=tmp_path / "video", formats=formats, mode=mode, **settings
    )
    (drawn,) = look.saliency(still, shipped, out=tmp_path / "still", **settings)
    with np.load(drawn.files["arrays"]) as arrays:
        maps = {method: arrays[method] for method in METHODS}
    for method in METHODS:
        with np.load(video.files[f"{method}.npz"]) as arrays:
            scale = np.abs(maps[method]).max()
            np.testing.assert_allclose(
                arrays["values"][0], maps[method], rtol=0, atol=1e-4 * scale, err_msg=method
            )
        overlay = np.asarray(Image.open(drawn.files[f"{method}.overlay"])).astype(int)
        for suffix, most in (("gif", 12), ("mp4", 16)):
            with open_video(video.files[f"{method}.{suffix}"]) as clip:
                frame = next(iter(clip)).astype(int)
            assert np.abs(frame - overlay).mean() < most, (method, suffix)
