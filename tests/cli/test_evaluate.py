"""`kerasvit evaluate`: the report, and what cannot be evaluated."""

import json

import numpy as np
import pytest
from PIL import Image

import kerasvit


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """Two of the three classes of the small model, of four pictures each."""
    root = tmp_path_factory.mktemp("animals")
    random = np.random.default_rng(0)
    for name in ("ant", "cat"):
        (root / name).mkdir()
        for number in range(4):
            pixels = random.integers(0, 255, (32, 48, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def evaluate(run, small_vit, tmp_path):
    """Run the command; return its result and its report."""

    def command(*options, model=small_vit):
        output = tmp_path / "accuracy.json"
        result = run("evaluate", "-m", model, "-o", output, "--overwrite", *options)
        return result, json.loads(output.read_text()) if output.exists() else None

    return command


def test_the_report_agrees_with_predict(evaluate, run, animals, small_vit):
    result, report = evaluate("--data", animals)
    assert result.code == 0, result.err
    right = 0
    for name in ("ant", "cat"):
        lines = run("predict", "-m", small_vit, "--top", "1", animals / name).out.splitlines()
        right += sum(f": {name} " in line for line in lines)
    assert report["n"] == 8
    assert report["top1"] == pytest.approx(right / 8)
    assert f"top1 {right / 8:.4f} on 8 pictures" in result.out
    assert list(report["classes"]) == ["ant", "cat"]
    assert report["model"]["name"] == small_vit.name
    assert report["preprocessing"]["image_size"] == [32, 48]
    assert len(report["model"]["weights_sha256"]) == 64


def test_few_of_each_class(evaluate, animals):
    _, report = evaluate("--data", animals, "--limit", "3")
    assert [one["n"] for one in report["classes"].values()] == [3, 3]


def test_a_broken_picture_is_named_and_the_exit_code_tells(evaluate, animals, tmp_path):
    (tmp_path / "data" / "bee").mkdir(parents=True)
    (tmp_path / "data" / "bee" / "0.png").write_bytes((animals / "ant" / "0.png").read_bytes())
    (tmp_path / "data" / "bee" / "1.png").write_bytes(b"")
    result, report = evaluate("--data", tmp_path / "data")
    assert result.code == 3
    assert "1 of 2 pictures was skipped" in result.err
    assert report["n"] == 1
    assert report["broken"][0][0].endswith("1.png")


def test_a_model_without_a_head_is_judged_by_neighbours(
    evaluate, animals, small_vit, tmp_path, one_line
):

    model = tmp_path / "headless.keras"
    kerasvit.from_pretrained(small_vit).headless().save(model)
    result, _ = evaluate("--data", animals, model=model)
    assert result.code == 2
    one_line(result.err, "--neighbours FOLDER")
    # Each picture is its own nearest neighbour.
    options = ("--neighbours", animals, "-k", "1", "--image-size", "16")
    result, report = evaluate("--data", animals, *options, model=model)
    assert result.code == 0, result.err
    assert report["top1"] == 1.0
    assert report["neighbours"]["n"] == 8
    assert report["neighbours"]["k"] == 1
    assert report["preprocessing"]["image_size"] == [16, 16]


def test_what_cannot_be_evaluated(evaluate, run, animals, tmp_path, one_line):
    (tmp_path / "other" / "fox").mkdir(parents=True)
    (tmp_path / "other" / "fox" / "0.png").write_bytes((animals / "ant" / "0.png").read_bytes())
    result, report = evaluate("--data", tmp_path / "other")
    assert result.code == 3
    one_line(result.err, "no known class", "'fox'", "'ant', 'bee', 'cat'")
    assert report is None
    (tmp_path / "accuracy.json").write_text("old")
    result = run("evaluate", "--data", animals, "-o", tmp_path / "accuracy.json")
    assert result.code == 5
    assert (tmp_path / "accuracy.json").read_text() == "old"
