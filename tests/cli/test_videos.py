"""A video in, a video out."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit import look
from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.render.video.frames import create_video, open_video
from kerasvit.saliency import explain, mass_mask

# As many frames as run at once: JAX compiles once for all tests.
SIZE, COUNT = (32, 48), 8


@pytest.fixture(scope="module")
def model():
    return kerasvit.from_pretrained()


@pytest.fixture(scope="module")
def frames():
    """A bright square that moves from left to right."""
    frames = np.full((COUNT, *SIZE, 3), 60, np.uint8)
    for index in range(COUNT):
        frames[index, 8:24, 4 * index : 4 * index + 16] = (250, 200, 40)
    return frames


@pytest.fixture
def video(tmp_path, frames):
    path = tmp_path / "moving.gif"
    with create_video(path, 20) as write:
        for frame in frames:
            write(frame)
    return path


class Frames(look.Listener):
    """Hands on how many frames are done."""

    def __init__(self, report):
        self.frame_done = report


@pytest.fixture
def draw(tmp_path, model):
    """Return a function that draws a video into the folder `out`."""

    def call(path, report=lambda done, count: None, **options):
        drawn = look.video(path, model, out=tmp_path / "out", listener=Frames(report), **options)
        return list(drawn.files.values())

    return call


def read(path):
    with open_video(path) as video:
        return video.rate, np.stack(list(video))


def test_side_by_side_keeps_the_frames_and_the_rate(draw, video, frames):
    seen = []
    files = draw(video, formats=("gif", "mp4"), report=lambda *now: seen.append(now))
    assert [file.name for file in files] == ["moving.attention.mp4", "moving.attention.gif"]
    assert seen == [(done, COUNT) for done in range(1, COUNT + 1)]
    for file in files:
        rate, drawn = read(file)
        assert rate == 20
        assert drawn.shape == (COUNT, SIZE[0], 2 * SIZE[1], 3)
        difference = drawn[:, :, : SIZE[1] - 2].astype(int) - frames[:, :, :-2]
        assert np.abs(difference).mean() < 8
        assert (drawn[:, :, SIZE[1] :].std(axis=(1, 2)) > 5).any(axis=1).all(), "a map each frame"


def test_the_maps_are_those_of_the_frames(draw, video, model):
    (_, arrays) = draw(video, formats=("npz", "png"), layer=1)
    preprocessing = Preprocessing.from_dict(model.record["preprocessing"])
    prepared = [preprocessing.keep_aspect(f, patch_size=model.patch_size) for f in read(video)[1]]
    expected = explain(model, np.stack([one.pixels for one in prepared]), layer=1).values
    with np.load(arrays) as loaded:
        np.testing.assert_array_equal(loaded["values"], expected)
        assert loaded["range"].shape == (COUNT, 2)
        assert json.loads(str(loaded["header"]))["layer"] == 1


def test_a_signed_map_has_a_mask_in_a_video_as_in_a_picture(draw, video):
    (file, arrays) = draw(video, formats=("gif", "npz"), method="occlusion", mass=0.4)
    with np.load(arrays) as loaded:
        assert loaded["values"].min() < 0
    assert file.stat().st_size


def test_a_mask_shows_the_mass_and_darkens_the_rest(draw, video, model):
    (file, arrays) = draw(video, formats=("gif", "npz"), mode="mask", mass=0.4)
    _, drawn = read(file)
    with np.load(arrays) as loaded:
        kept = mass_mask(loaded["values"], 0.4)
    kept = kept.repeat(4, axis=1).repeat(4, axis=2)
    assert kept.any(axis=(1, 2)).all()
    _, given = read(video)
    change = np.abs(drawn.astype(int) - given).mean(axis=-1)
    assert change[kept].mean() < 8, "what holds the mass is shown as it is"
    assert change[~kept].mean() > 15


def test_an_overlay_is_one_frame_wide_and_named_after_its_method(draw, video):
    method = "class_attention_rollout"
    (file,) = draw(video, formats=("gif",), mode="overlay", method=method)
    assert file.name == f"moving.{method}.gif"
    assert read(file)[1].shape == (COUNT, *SIZE, 3)


def test_a_video_that_is_cut_off_leaves_nothing(draw, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, *SIZE, 3), dtype=np.uint8)
    pictures = [Image.fromarray(frame) for frame in noise]
    path = tmp_path / "cut.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"cut\.webp"):
        draw(path, formats=("mp4", "gif", "npz"))
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == ["manifest.json"]


def test_a_fault_that_comes_up_late_is_noted_and_what_came_before_drawn(draw, tmp_path, frames):
    path = tmp_path / "long.mp4"
    with create_video(path, 25) as write:
        for frame in frames:
            write(frame)
    # Its index lies in front, so a cut leaves the first frames readable.
    noise = np.random.default_rng(0).integers(0, 255, (2 * COUNT, *SIZE, 3), dtype=np.uint8)
    with create_video(path, 25, overwrite=True) as write:
        for frame in noise:
            write(frame)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    drawn = look.video(path, kerasvit.from_pretrained(), out=tmp_path / "out", formats=("npz",))
    (note,) = drawn.notes
    assert "damaged or cut off" in note
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["pictures"]
    assert entry["notes"] == [note]
    with np.load(drawn.files["attention.npz"]) as arrays:
        assert 1 <= len(arrays["values"]) < 2 * COUNT
        assert f" {len(arrays['values'])} of about {2 * COUNT} frames" in note


def test_existing_files_are_refused_before_the_model_runs(draw, video, tmp_path):
    draw(video, formats=("gif",))
    before = (tmp_path / "out" / "moving.attention.gif").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        draw(video, formats=("gif",), report=lambda *_: pytest.fail("the model ran"))
    assert (tmp_path / "out" / "moving.attention.gif").read_bytes() == before
    draw(video, formats=("gif",), mode="overlay", overwrite=True)
    assert (tmp_path / "out" / "moving.attention.gif").read_bytes() != before


def test_what_cannot_be_drawn_is_refused(draw, video, monkeypatch):
    with pytest.raises(UsageError, match="mode"):
        draw(video, mode="sideways")
    with pytest.raises(UsageError, match="head"):
        draw(video, heads="all")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"kerasvit\[video\]"):
        draw(video, formats=("mp4",))
