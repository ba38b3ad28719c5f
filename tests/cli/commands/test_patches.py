"""`kerasvit patches`."""

from PIL import Image


def test_a_picture_is_cut_in_every_format(run, photograph, small_vit, tmp_path):
    out = tmp_path / "out"
    result = run(
        "patches", photograph, "-m", small_vit, "-o", out, "--format", "png,svg", "--dpi", "100"
    )
    assert result.code == 0, result.err
    names = [f"photograph.patches.{kind}" for kind in ("png", "svg")]
    assert result.out.split() == [str(out / name) for name in names]
    assert sorted(file.name for file in out.iterdir()) == names
    with Image.open(out / names[0]) as sheet:
        assert sheet.width == 704


def test_what_cannot_be_honoured_makes_nothing(run, one_line, photograph, tmp_path):
    for arguments, words in (
        (("--format", "npz"), "png, pdf, svg"),
        (("--dpi", "7"), "between 30 and 1200"),
        (("--fit", "crop", "--resize", "9"), "--fit crop"),
    ):
        result = run("patches", photograph, "-o", tmp_path / "out", *arguments)
        assert result.code == 2
        one_line(result.err, words)
        assert not (tmp_path / "out").exists()
