"""`kerasvit evaluate-saliency`: the report, the table, the plot, and what is refused."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from kerasvit.look.models import weights_sha256
from kerasvit.pretrained import from_pretrained


@pytest.fixture
def folder(tmp_path):
    """Three pictures, with masks, and a file that is none."""
    random = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for index in range(3):
        pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{index}.png")
        labels = np.zeros((32, 32), np.uint8)
        labels[8:16, 4:24] = 1
        Image.fromarray(labels).save(tmp_path / "masks" / f"{index}.png")
    return tmp_path


@pytest.fixture
def evaluate(run, folder):
    """Run the command on the folder; return its result and the report, if there is one."""

    def command(*arguments, inputs=None):
        inputs = inputs or [folder]
        output = folder / "result" / "report.json"
        result = run("evaluate-saliency", *inputs, "-o", output, "--batch-size", "32", *arguments)
        return result, json.loads(output.read_text()) if output.exists() else None

    return command


def test_the_model_sees_pictures_at_another_size(evaluate):
    arguments = ("--methods", "attention", "--metrics", "perturbation")
    own = evaluate(*arguments)[1]["methods"]["attention"]["perturbation"]
    result, report = evaluate(*arguments, "--resize", "15", "--overwrite")
    assert result.code == 0, result.err
    # 16 pixels are 4 patches a side.
    assert report["methods"]["attention"]["perturbation"] != own
    assert evaluate("--resize", "0")[0].code == 2


def test_report_table_and_plot(evaluate, folder):
    plot = folder / "result" / "plot.png"
    arguments = ("--methods", "attention,gradcam", "--metrics", "perturbation", "--plot", plot)
    result, report = evaluate(*arguments, "--seed", "3", "--class", "cat")
    assert result.code == 0, result.err
    assert report["n"] == 3
    assert report["seed"] == 3
    assert "Chefer" in report["protocols"]["perturbation"]
    assert report["model"]["weights_sha256"] == weights_sha256(from_pretrained())
    assert set(report["methods"]) == {"attention", "gradcam"}
    lines = result.out.splitlines()
    assert lines[0] == "3 pictures"
    assert lines[1].split() == ["method", "positive", "negative", "seconds"]
    shown = float(lines[3].split()[2].partition("±")[0])
    expected = report["methods"]["gradcam"]["perturbation"]["negative"]
    assert shown == pytest.approx(expected, abs=1e-3)
    with Image.open(plot) as picture:
        assert picture.width > picture.height


def test_masks_alone(evaluate, folder):
    result, report = evaluate("--masks", folder / "masks", "--metrics", "none")
    assert result.code == 0, result.err
    assert report["masks"]["n"] == 3
    header, attention, rollout = (line.split() for line in result.out.splitlines()[1:4])
    assert header == ["method", "pixel_accuracy", "miou", "map", "dino_jaccard", "seconds"]
    assert attention[0] == "attention"
    assert rollout[4:] == ["-", "-"]


def test_bad_pictures_and_masks_are_named_and_the_others_count(evaluate, folder):
    (folder / "bad.png").write_text("no picture")
    Image.new("L", (5, 5), 1).save(folder / "masks" / "1.png")
    result, report = evaluate("--masks", folder / "masks", "--metrics", "none")
    assert result.code == 3
    assert report["n"] == report["masks"]["n"] == 2
    assert {path.rsplit("/", 1)[1] for path in report["failed"]} == {"bad.png", "1.png"}
    assert "as large as its photograph" in result.err


def test_too_few_classes_skip_the_mosaics_and_say_so(evaluate, folder):
    arguments = ("--methods", "attention", "--metrics", "grid_pointing", "--class", "cat")
    result, report = evaluate(*arguments, inputs=[folder / "0.png"])
    assert result.code == 0, result.err
    assert "4 pictures" in report["methods"]["attention"]["grid_pointing"]["skipped"]


@pytest.mark.parametrize(
    ("arguments", "code", "needles"),
    [
        (("--methods", "atention"), 2, ["'atention'", "gradcam"]),
        (("--metrics", "auc"), 2, ["'auc'", "insertion_deletion"]),
        (("--metrics", "none"), 2, ["nothing to measure"]),
        (("--metrics", "infidelity", "--methods", "gradcam", "--class", "cot"), 2, ["'cat'"]),
        (("--option", "rise.masks=3"), 2, ["rise.masks"]),
        (("--plot", "c.jpg"), 2, [".png, .pdf, .svg", "'c.jpg'"]),
        (("--output", "report.xlsx"), 2, [".json, .csv", "'report.xlsx'"]),
        (("--plot", "c.pdf", "--metrics", "infidelity"), 2, ["curves", "--metrics infidelity"]),
        (("--reference", "rise"), 2, ["'rise'", "attention, rollout"]),
    ],
)
def test_wrong_requests_write_nothing(evaluate, one_line, arguments, code, needles):
    result, report = evaluate(*arguments)
    assert result.code == code
    assert report is None
    one_line(result.err.splitlines()[-1], *needles)


def test_csv_and_pdf_are_what_their_names_say(run, folder):
    table, plot = folder / "out" / "r.csv", folder / "out" / "c.pdf"
    arguments = ("--metrics", "perturbation,grid_pointing", "--methods", "attention,rollout")
    result = run(
        *("evaluate-saliency", folder, "-o", table, "--plot", plot, "--batch-size", "32"),
        *(*arguments, "--class", "cat", "--reference", "rollout"),
    )
    assert result.code == 0, result.err
    assert plot.read_bytes().startswith(b"%PDF")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    (positive,) = (
        row for row in rows if (row["method"], row["figure"]) == ("attention", "positive")
    )
    assert (positive["n"], positive["better"], positive["reference"]) == ("3", "low", "rollout")
    low, mean, high = (float(positive[name]) for name in ("interval_low", "mean", "interval_high"))
    assert low <= mean <= high
    left_out = [row for row in rows if row["metric"] == "grid_pointing"]
    assert len(left_out) == 2
    assert all("needs 4 pictures" in row["note"] and not row["mean"] for row in left_out)
    assert "grid_pointing was left out: A mosaic needs 4 pictures" in result.out
    assert "difference to rollout" in result.out


def test_one_picture_is_one_and_claims_no_certainty(run, folder):
    output = folder / "one.json"
    arguments = ("--metrics", "perturbation", "--methods", "attention,rollout", "-o", output)
    result = run("evaluate-saliency", folder / "0.png", *arguments)
    assert result.code == 0, result.err
    assert result.out.splitlines()[0] == "1 picture"
    assert "intervals" not in result.out
    found = json.loads(output.read_text())["statistics"]["perturbation"]["rollout"]["positive"]
    assert found["standard_error"] is None
    assert found["interval"] is None


def test_existing_outputs_are_refused_before_any_work(evaluate, folder, one_line):
    plot = folder.with_name("plot.png")
    plot.write_bytes(b"old")
    result, report = evaluate("--plot", plot)
    assert result.code == 5
    assert report is None
    left_out, message = result.err.splitlines()  # the folder of the masks lies in the pictures'
    assert "masks" in left_out
    one_line(message, "plot.png", "--overwrite")
    assert plot.read_bytes() == b"old"
