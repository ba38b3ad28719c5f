"""`kerasvit probe`: which pictures and numbers it writes, and what it refuses."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Eight pictures of different sizes."""
    random = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for index in range(8):
        pixels = random.integers(0, 255, (6, 6 + index, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((48 + 8 * index, 48), Image.Resampling.BICUBIC)
        image.save(tmp_path / "in" / f"{index}.png")
    return tmp_path


@pytest.fixture
def probe(run, folder, small_vit):
    """Run the command with the small ViT; return its result and the folder of the outputs."""

    def command(*arguments, model=small_vit):
        out = folder / "out"
        return run("probe", *arguments, "-m", model, "-o", out), out

    return command


def arrays_of(folder):
    with np.load(folder / "probes.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def test_weights_need_no_pictures(probe):
    result, out = probe()
    assert result.code == 0, result.err
    assert {path.name for path in out.iterdir()} == {"positions.png", "filters.png", "probes.npz"}
    arrays = arrays_of(out)
    assert arrays["positions"].shape == (4, 6, 4, 6)
    assert arrays["filters"].shape == (16, 8, 8, 3)


@pytest.mark.backend
def test_everything_of_eight_pictures(probe, folder):
    result, out = probe(folder / "in")
    assert result.code == 0, result.err
    names = {path.stem for path in out.glob("*.png")}
    assert names == {
        "positions",
        "filters",
        "distance",
        "entropy",
        "sinks",
        "features",
        "similarity",
    }
    arrays = arrays_of(out)
    assert arrays["features"].shape == (8, 4, 6, 3)
    assert arrays["norms"].shape == (8, 4, 6)
    assert arrays["similarity"].shape == (2, 2)
    assert arrays["distance_sa_ffn_block_01_att"].shape == (2,)
    assert arrays["sink_ratio_sa_ffn_block_01_att"].shape == (8,)
    assert arrays["prefix_share_sa_ffn_block_01_att"].shape == (8, 2)
    assert arrays["norm_outliers_sa_ffn_block_01"].shape == (8,)
    assert result.out.splitlines() == [
        *(
            str(out / f"{name}.png")
            for name in (
                *("positions", "filters", "distance", "entropy", "sinks", "features", "similarity"),
            )
        ),
        str(out / "probes.npz"),
    ]


def test_the_models_see_pictures_at_another_size(probe, folder):
    arguments = (folder / "in", "--resize", "15", "--against", "cait_nano_patch4_32.cifar10")
    result, out = probe(*arguments, "--probes", "positions,features,similarity")
    assert result.code == 0, result.err
    arrays = arrays_of(out)
    # 16 x 24 pixels are 2 x 3 patches of 8; what the weights hold stays as it is.
    assert arrays["features"].shape == (8, 2, 3, 3)
    assert arrays["positions"].shape == (4, 6, 4, 6)
    assert arrays["similarity"].shape == (2, 6)
    assert probe("--resize", "0")[0].code == 2


def test_another_model_on_the_same_pictures(probe, folder):
    other = "cait_nano_patch4_32.cifar10"
    result, out = probe(folder / "in", "--probes", "similarity", "--against", other)
    assert result.code == 0, result.err
    assert arrays_of(out)["similarity"].shape == (2, 6)


def test_a_bad_picture_is_named_and_the_others_count(probe, folder):
    (folder / "in" / "bad.png").write_text("no picture")
    result, out = probe(folder / "in", "--probes", "entropy,features")
    assert result.code == 3
    assert "bad.png" in result.err
    assert arrays_of(out)["features"].shape[0] == 8


@pytest.mark.parametrize(
    ("arguments", "code", "needles"),
    [
        (("--probes", "distance"), 2, ["need pictures"]),
        (("--probes", "distances"), 2, ["'distances'", "entropy"]),
        (("--probes", "similarity", "in/0.png"), 3, ["at least 8"]),
    ],
)
def test_what_cannot_be_probed(probe, folder, one_line, monkeypatch, arguments, code, needles):
    monkeypatch.chdir(folder)
    result, out = probe(*arguments)
    assert result.code == code
    one_line(result.err, *needles)
    assert not list(out.glob("*.png"))


def test_existing_outputs_are_refused(probe, one_line):
    _, out = probe()
    before = (out / "probes.npz").read_bytes()
    result, _ = probe()
    assert result.code == 5
    one_line(result.err, "positions.png", "--overwrite")
    assert (out / "probes.npz").read_bytes() == before
