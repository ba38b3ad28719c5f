"""`kerasvit evaluate-saliency`: the report, the table, the plot, and what is refused."""

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
    shown = float(lines[3].split()[2])
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
    ],
)
def test_wrong_requests_write_nothing(evaluate, one_line, arguments, code, needles):
    result, report = evaluate(*arguments)
    assert result.code == code
    assert report is None
    one_line(result.err.splitlines()[-1], *needles)


def test_existing_outputs_are_refused_before_any_work(evaluate, folder, one_line):
    plot = folder.with_name("plot.png")
    plot.write_bytes(b"old")
    result, report = evaluate("--plot", plot)
    assert result.code == 5
    assert report is None
    one_line(result.err, "plot.png", "--overwrite")
    assert plot.read_bytes() == b"old"
