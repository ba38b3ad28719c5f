import json

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.evaluation.evaluate import METRICS, PROTOCOLS, evaluate_saliency
from kerasvit.evaluation.files import evaluate_files, write_plot, write_report
from kerasvit.evaluation.masks import evaluate_masks
from kerasvit.evaluation.randomisation import randomisation, rank_correlation
from kerasvit.images import Geometry, Preprocessing
from kerasvit.saliency.backends import to_numpy
from kerasvit.saliency.explain import explain


@pytest.fixture(scope="module")
def report(planted):
    pixels, classes, _ = planted.plant(25, seed=8, planted=1)
    options = {"relevance": {"start_layer": 0}}
    lines = []
    found = evaluate_saliency(
        planted.model,
        pixels,
        ["relevance", "attention"],
        list(METRICS),
        target=classes[:, 0].tolist(),
        options=options,
        seed=1,
        # One shape for the pictures and for the sets of hidden patches, which JAX compiles once.
        batch_size=25,
        report=lines.append,
    )
    assert len(lines) == 2 * (1 + len(METRICS))
    return found


def test_the_report_says_what_was_done(report):
    assert report["n"] == 25
    assert report["protocols"] == PROTOCOLS
    assert list(report["methods"]) == ["relevance", "attention"]
    for found in report["methods"].values():
        assert found["seconds_per_picture"] > 0
        assert set(METRICS) <= set(found)
    assert report["methods"]["relevance"]["options"] == {"start_layer": 0}
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_map_that_knows_the_class_wins_where_the_class_counts(report):
    relevance, attention = (report["methods"][name] for name in ("relevance", "attention"))
    perturbation = relevance["perturbation"]
    # Once the one planted patch is gone, so is the class; without it the rest says nothing.
    assert perturbation["positive"] < 0.5 < perturbation["negative"]
    assert len(perturbation["curves"]["positive"]) == len(perturbation["fractions"]) == 9
    steps = relevance["insertion_deletion"]
    assert steps["deletion"] < 0.5 < steps["insertion"]
    grid = relevance["grid_pointing"]
    assert 0 <= grid["pointing"] <= 1
    assert grid["mosaics"] == 32
    assert relevance["infidelity"]["mean"] < 1
    # A shuffled head changes what is relevant; attention does not depend on the head at all.
    assert relevance["randomisation"]["rank_correlation"]["head"] < 0.99
    assert attention["randomisation"]["rank_correlation"]["head"] == pytest.approx(1)
    assert attention["randomisation"]["rank_correlation"]["embedding"] < 0.9


def test_a_model_without_classes_is_watched_by_its_feature(headless, planted):
    pixels, _, _ = planted.plant(6, seed=8, planted=1)
    found = evaluate_saliency(
        headless, pixels, ["occlusion", "attention"], mosaics=5, steps=4, batch_size=30
    )["methods"]["occlusion"]
    grid = found["grid_pointing"]
    assert grid["mosaics"] == 5
    assert 0 <= grid["share"] <= 1
    assert len(found["insertion_deletion"]["fractions"]) == 5
    assert found["insertion_deletion"]["curves"]["insertion"][-1] == pytest.approx(1, abs=1e-4)
    assert found["perturbation"]["positive"] < found["perturbation"]["negative"]
    with pytest.raises(UsageError, match="target='feature'"):
        evaluate_saliency(headless, pixels, ["attention"], target="top1")


@pytest.mark.backend
def test_weights_are_shuffled_from_the_head_down_and_the_model_is_left_alone(planted):
    pixels, _, _ = planted.plant(2, seed=1)
    before = [to_numpy(weight.value) for weight in planted.model.weights]

    def maps(model):
        return explain(model, pixels, "attention", layer=0).values

    found = randomisation(planted.model, maps, seed=0)
    assert list(found) == ["head", "sa_ffn_block_01", "sa_ffn_block_00", "embedding"]
    # The first block's attention does not depend on what comes later.
    for stage in ("head", "sa_ffn_block_01"):
        np.testing.assert_allclose(found[stage], 1)
    assert (found["sa_ffn_block_00"] < 0.99).all()
    for weight, old in zip(planted.model.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight.value), old)
    assert len(randomisation(planted.model, maps, stages=1)) == 1


def test_rank_correlation_equals_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    first = rng.normal(size=(3, 4, 6)).round(1)
    second = first + rng.normal(size=(3, 4, 6)).round(1)
    expected = [
        stats.spearmanr(one.ravel(), two.ravel())[0] for one, two in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(rank_correlation(first, second), expected)
    assert not rank_correlation(first, np.ones((3, 4, 6))).any()


def test_masks_are_compared_on_the_photograph(planted):
    pixels, _, places = planted.plant(6, seed=9, planted=1)
    geometry = Geometry((40, 48), (0, 0, 40, 48), (20, 24))
    examples = []
    for picture, place in zip(pixels, places[:, 0], strict=True):
        labels = np.zeros((40, 48), np.uint8)
        row, column = divmod(int(place), 6)
        labels[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 3
        labels[0, 0] = 255
        examples.append((picture, geometry, labels))
    found = evaluate_masks(planted.model, iter(examples), ["attention", "occlusion"])
    assert found["n"] == 6
    assert set(found["protocols"]) == {"segmentation", "dino_jaccard"}
    assert found["methods"]["occlusion"]["map"] > 0.9
    assert 0 < found["methods"]["attention"]["dino_jaccard"] <= 1


def test_unknown_names_are_refused(planted):
    pixels, _, _ = planted.plant(2, seed=1)
    with pytest.raises(UsageError, match="'perturbation'"):
        evaluate_saliency(planted.model, pixels, ["relevance"], ["accuracy"])
    with pytest.raises(UsageError, match="'rollout'"):
        evaluate_saliency(planted.model, pixels, ["rolout"])
    with pytest.raises(UsageError, match="none"):
        evaluate_saliency(planted.model, pixels, [])


@pytest.fixture
def folder(planted, tmp_path):
    """Two photographs with masks, and a file that is none."""
    preprocessing = Preprocessing((20, 24), crop_fraction=1.0, mean=(0.5,) * 3, std=(0.5,) * 3)
    pixels, _, _ = planted.plant(2, seed=3)
    for index, picture in enumerate(pixels):
        image = Image.fromarray(np.uint8(np.clip(picture * 60 + 128, 0, 255)))
        image.save(tmp_path / f"{index}.jpg")
        labels = np.zeros((20, 24), np.uint8)
        labels[4:8, 4:8] = 1
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(labels).save(tmp_path / "masks" / f"{index}.png")
    (tmp_path / "bad.jpg").write_text("no picture")
    return preprocessing, tmp_path


def test_a_bad_photograph_is_named_and_the_others_count(planted, folder):
    preprocessing, path = folder
    paths = [path / "0.jpg", path / "bad.jpg", path / "1.jpg"]
    lines = []
    found = evaluate_files(
        planted.model,
        preprocessing,
        paths,
        ["attention"],
        ["perturbation"],
        masks=path / "masks",
        report=lines.append,
    )
    assert found["n"] == found["masks"]["n"] == 2
    assert list(found["failed"]) == [str(paths[1])]
    assert any("bad.jpg" in line for line in lines)
    write_report(found, path / "report.json")
    assert json.loads((path / "report.json").read_text()) == found
    with pytest.raises(OutputError, match="exists"):
        write_report(found, path / "report.json")
    write_plot(found, path / "plot.png")
    with Image.open(path / "plot.png") as plot:
        assert plot.width > plot.height
    with pytest.raises(InputError, match="none of which"):
        evaluate_files(planted.model, preprocessing, [path / "bad.jpg"] * 2, ["attention"])


def test_masks_that_do_not_fit_name_their_file(planted, folder):
    preprocessing, path = folder
    arguments = (planted.model, preprocessing, [path / "0.jpg"], ["attention"], [])
    mask = path / "masks" / "0.png"
    Image.new("L", (5, 5)).save(mask)
    with pytest.raises(InputError, match="as large as its photograph"):
        evaluate_files(*arguments, masks=path / "masks")
    Image.new("RGB", (24, 20)).save(mask)
    with pytest.raises(InputError, match="one channel"):
        evaluate_files(*arguments, masks=path / "masks")
    mask.unlink()
    with pytest.raises(InputError, match=r"0\.png"):
        evaluate_files(*arguments, masks=path / "masks")
    with pytest.raises(UsageError, match="nothing to measure"):
        evaluate_files(*arguments)
    with pytest.raises(UsageError, match="no curves"):
        write_plot({"methods": {"attention": {}}, "n": 1}, path / "plot.png")
