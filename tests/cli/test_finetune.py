"""`kerasvit finetune`: the new classes are known afterwards, and bad folders are named."""

import numpy as np
import pytest
from PIL import Image

import kerasvit

SETTINGS = ("--freeze", "--batch-size", "8")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Pictures of 48x32 pixels: two classes of six."""
    root = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    for channel, name in ((0, "rot"), (2, "blau")):
        (root / name).mkdir()
        for number in range(6):
            pixels = random.integers(0, 90, (32, 48, 3), np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def finetune(run, small_vit, tmp_path):
    """Run the command on the small model; the output is `out.keras`."""

    def command(data, *options, output="out.keras"):
        return run(
            *("finetune", "-m", small_vit, "--data", data, "-o", tmp_path / output, *options)
        )

    return command


@pytest.mark.backend
def test_predict_and_saliency_speak_the_new_classes(finetune, run, colours, tmp_path):
    result = finetune(colours, *SETTINGS, "--hold-out", "0.34")
    assert result.code == 0, result.err
    assert "accuracy 1.0000 on 4 held-out pictures" in result.out
    model = tmp_path / "out.keras"
    picture = colours / "rot" / "0.png"
    assert run("predict", "-m", model, picture).out.startswith(f"{picture}: rot ")
    explained = ("--method", "relevance", "--class", "blau")
    drawn = run("saliency", "-m", model, picture, *explained, "-o", tmp_path / "maps")
    assert drawn.code == 0, drawn.err
    assert "fine-tuned from" in run("info", model).out


@pytest.mark.parametrize("method", [("--freeze",), ("--lora", "2", "--epochs", "2")])
def test_one_logit_learns_two_classes(finetune, run, colours, tmp_path, method):
    options = (*method, "--one-logit", "--batch-size", "8", "--hold-out", "0.34")
    result = finetune(colours, *options)
    assert result.code == 0, result.err
    assert "accuracy 1.0000 on 4 held-out pictures" in result.out
    model, pictures = tmp_path / "out.keras", [colours / name / "0.png" for name in ("rot", "blau")]
    assert kerasvit.from_pretrained(model).problem.is_binary
    lines = run("predict", "-m", model, *pictures).out.splitlines()
    for picture, line in zip(pictures, lines, strict=True):
        first, second = line.removeprefix(f"{picture}: ").split(", ")
        assert {first.split()[0], second.split()[0]} == {"rot", "blau"}
        assert first.startswith(picture.parent.name)
    report = run("evaluate", "-m", model, "--data", colours, "-o", tmp_path / "report.json")
    assert "top1 1.0000 on 12 pictures" in report.out


@pytest.fixture
def labelled(colours, tmp_path):
    """A table of labels that the pictures have, or have not, each for itself."""
    lines = ["file,red,even,never"]
    for name in ("rot", "blau"):
        for number in range(6):
            lines.append(f"{name}/{number}.png,{int(name == 'rot')},{int(number % 2 == 0)},0")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path / "labels.csv"


@pytest.mark.parametrize("method", [("--freeze",), ("--epochs", "1")])
def test_many_labels_are_learned_from_a_table(finetune, run, colours, labelled, tmp_path, method):
    options = (*method, "--labels", labelled, "--batch-size", "8", "--hold-out", "0.34")
    result = finetune(colours, *options)
    assert result.code == 0, result.err
    assert "8 pictures with 3 labels, 4 held out" in result.err
    model = kerasvit.from_pretrained(tmp_path / "out.keras")
    assert model.problem.has_many_labels
    assert model.record["class_names"] == ["red", "even", "never"]
    pictures = [colours / name / "1.png" for name in ("rot", "blau")]
    red, blue = run("predict", "-m", tmp_path / "out.keras", *pictures).out.splitlines()
    assert "red " in red
    assert "red " not in blue.split("most probable")[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file\nrot/0.png", "line 1"),
        ("file,a,a\nrot/0.png,1,0", "line 1"),
        ("file,a\nrot/0.png,2", "line 2: 'rot/0.png,2'"),
        ("file,a\nrot/0.png,1,1", "line 2"),
        ("file,a\nrot/9.png,1", "9.png', which is no file"),
        ("file,a\nrot/0.png,1\nrot/0.png,0", "one picture twice"),
        ("", "line 1"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_line(
    finetune, colours, tmp_path, one_line, content, words
):
    (tmp_path / "bad.csv").write_text(content)
    result = finetune(colours, "--freeze", "--labels", tmp_path / "bad.csv")
    assert result.code == 3
    one_line(result.err, "bad.csv", words)


def test_one_logit_for_anything_but_two_classes_is_refused(finetune, colours, labelled):
    result = finetune(colours, "--freeze", "--one-logit", "--labels", labelled)
    assert result.code == 2
    assert "One logit decides between two classes" in result.err


def test_freed_memory_is_kept_for_the_next_step(finetune, colours, reuse_memory):
    result = finetune(colours, "--freeze", "--image-size", "30")
    assert result.code == 2
    assert "must fill the image" in result.err
    reuse_memory.assert_called_once_with()


@pytest.mark.parametrize("method", [(), ("--lora", "2")])
def test_the_other_methods_train(finetune, colours, tmp_path, method):
    result = finetune(colours, *method, "--epochs", "1", "--batch-size", "4", "--hold-out", "0.2")
    assert result.code == 0, result.err
    assert "epoch 1, " in result.err
    model = kerasvit.from_pretrained(tmp_path / "out.keras")
    assert model.record["finetuning"]["method"] == ("lora" if method else "full")


def test_a_broken_picture_is_named_skipped_and_counted(finetune, colours, tmp_path, caplog):
    root = _copy(colours, tmp_path)
    (root / "rot" / "0.png").write_bytes(b"nothing")
    result = finetune(root, *SETTINGS, "--hold-out", "0")
    assert result.code == 0, result.err
    assert "kerasvit: 1 of 12 pictures was skipped" in result.err
    assert sum("rot/0.png" in record.getMessage() for record in caplog.records) == 1


def _copy(folder, tmp_path):
    root = tmp_path / "copy"
    for path in folder.rglob("*.png"):
        target = root / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return root


def test_folders_without_classes_are_refused(finetune, colours, tmp_path, one_line):
    root = _copy(colours, tmp_path)
    (root / "gelb").mkdir()
    result = finetune(root, *SETTINGS)
    assert result.code == 3
    one_line(result.err, "class without pictures", "'gelb'")
    (root / "gelb").rmdir()
    for path in [*(root / "rot").iterdir(), root / "rot"]:
        path.unlink() if path.is_file() else path.rmdir()
    result = finetune(root, *SETTINGS)
    assert result.code == 3
    one_line(result.err, "one class", "'blau'")
    assert finetune(tmp_path / "nowhere", *SETTINGS).code == 3
    assert not (tmp_path / "out.keras").exists()


def test_held_out_pictures_may_lie_elsewhere(finetune, colours, tmp_path):
    other = _copy(colours, tmp_path)
    result = finetune(colours, *SETTINGS, "--validation", other)
    assert result.code == 0, result.err
    assert "on 12 held-out pictures" in result.out
    (other / "rot").rename(other / "rouge")
    result = finetune(colours, *SETTINGS, "--validation", other, output="other.keras")
    assert result.code == 3
    assert "'rouge'" in result.err


def test_outputs_and_options_are_checked_before_any_work(finetune, colours, tmp_path, one_line):
    (tmp_path / "out.keras").write_bytes(b"old")
    result = finetune(colours, *SETTINGS)
    assert result.code == 5
    one_line(result.err, "out.keras", "--overwrite")
    assert (tmp_path / "out.keras").read_bytes() == b"old"
    result = finetune(colours, *SETTINGS, output="out.pth")
    assert result.code == 2
    one_line(result.err, "'", ".keras file")
    for wrong in (("--layer-decay", "2"), ("--hold-out", "1")):
        assert finetune(colours, "--freeze", *wrong, output="new.keras").code == 2
    assert finetune(colours, "--freeze", "--lora", "2").code == 2
