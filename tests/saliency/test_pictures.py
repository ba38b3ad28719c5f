"""From pictures to results, figures and tables, in Python."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.saliency import METHODS, SaliencyMap, SaliencyMaps, explain, plot
from kerasvit.saliency.figures.appearance import appearance_of


@pytest.fixture
def model(real, preprocessing_record, monkeypatch):
    """A model of 12x20 pixels whose record says how pictures are prepared."""
    made = real.vit()
    names = ["cat, tabby", "$dog_1$", "c", "d", "e"]
    record = {"preprocessing": preprocessing_record(12, 20), "class_names": names}
    monkeypatch.setattr(made, "record", record)
    return made


def photograph(height=24, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path):
    """Two photographs as files, of different sizes."""
    sizes = {"a.png": (24, 40), "b.png": (50, 30)}
    for name, size in sizes.items():
        Image.fromarray(photograph(*size)).save(tmp_path / name)
    return [tmp_path / name for name in sizes]


@pytest.mark.parametrize(
    "source",
    [
        *(None, 3, {}, (one for one in "ab")),
        *(np.zeros((20, 20, 3), np.int64), np.zeros((20, 20, 3), bool), np.array([None])),
    ],
)
def test_what_is_no_picture_is_told_what_a_picture_is(model, source):
    with pytest.raises(UsageError, match=r"A picture is a path, .* Received: \w+"):
        explain(model, source)


@pytest.mark.parametrize("source", [None, "cait_nano_patch4_32.cifar10", object()])
def test_what_is_no_model_is_told_how_one_is_opened(source):
    with pytest.raises(UsageError, match="from_pretrained"):
        explain(source, photograph())


def test_a_class_may_be_one_of_numpys_numbers_and_nothing_else(model):
    maps = [explain(model, photograph(), "relevance", target=one) for one in (2, np.int64(2))]
    np.testing.assert_array_equal(maps[0].values, maps[1].values)
    with pytest.raises(UsageError, match=r"Received: target=1\.5"):
        explain(model, photograph(), "relevance", target=1.5)
    with pytest.raises(UsageError, match="no such method"):
        explain(model, photograph(), ["attention", "rollout"])


def test_whatever_holds_a_picture_gives_the_map_of_its_prepared_pixels(model, files):
    image = photograph()
    record = model.record["preprocessing"]
    prepared = Preprocessing.from_dict(record).keep_aspect(image, patch_size=model.patch_size)
    expected = explain(model, prepared.pixels[None], geometries=[prepared.geometry])
    sources = [files[0], str(files[0]), files[0].read_bytes(), Image.fromarray(image), image]
    for source in sources:
        result = explain(model, source)
        np.testing.assert_array_equal(result.values, expected.values)
        assert result.geometries == expected.geometries
        np.testing.assert_array_equal(result.photographs[0].pixels, image)
        assert result.place().shape == image.shape[:2]
    assert explain(model, files[0]).picture_name(0) == "a.png"


@pytest.mark.parametrize("target", [2, [1, 4]])
def test_a_list_is_explained_for_the_classes_that_were_asked_for(model, files, target):
    targets = target if isinstance(target, list) else [target] * 2
    together = explain(model, files, "relevance", target=target)
    for result, file, alone in zip(together, files, targets, strict=True):
        expected = explain(model, file, "relevance", target=alone)
        np.testing.assert_allclose(result.values, expected.values, rtol=1e-4, atol=1e-7)


def test_a_sample_is_a_picture(model):
    pytest.importorskip("skimage")
    assert explain(model, "sample:chelsea").picture_name(0) == "chelsea.png"


@pytest.mark.parametrize("method", ["attention", "relevance"])
def test_a_list_gives_what_each_picture_gives_alone_in_its_order(model, files, method):
    sources = [files[1], photograph(), Image.fromarray(photograph(24, 40, 1)), files[1]]
    together = explain(model, sources, method, target=[3, 1, 0, 2] if method != "attention" else 1)
    assert isinstance(together, SaliencyMaps)
    assert len(together) == 4
    for number, (source, result) in enumerate(zip(sources, together, strict=True)):
        target = [3, 1, 0, 2][number]
        alone = explain(model, source, method, target=target)
        np.testing.assert_allclose(result.values, alone.values, rtol=1e-4, atol=1e-6)
        assert result.target == alone.target
        assert result.geometries == alone.geometries
    assert [len(part) for part in (together[:2], together[-1])] == [2, 1]


def test_a_folder_and_a_pattern_stand_for_their_pictures(model, files):
    folder = files[0].parent
    for source in (folder, f"{folder}/*.png"):
        names = [result.picture_name(0) for result in explain(model, source)]
        assert names == ["a.png", "b.png"]


def test_four_axes_are_the_models_input_whatever_their_type(model):
    pixels = photograph(12, 20)[None]
    as_given = explain(model, pixels)
    expected = explain(model, pixels.astype(np.float32))
    np.testing.assert_allclose(as_given.values, expected.values, rtol=1e-5)
    assert as_given.photographs is None


def test_what_is_no_picture_is_refused_in_one_line(model, files, real, monkeypatch):
    wrong = [
        (lambda: explain(model, np.zeros((12, 20, 3), np.float32)), InputError, "four axes"),
        (lambda: explain(model, [files[0], np.zeros((12, 20, 3))]), UsageError, "at 1"),
        (lambda: explain(model, "nothing.png"), InputError, "nothing.png"),
        (lambda: explain(model, files[0], geometries=[None]), UsageError, "geometries"),
        (lambda: explain(model, files, "relevance", target=[1]), InputError, "one target"),
        (lambda: explain(model, []), InputError, "at least one"),
        (lambda: plot("cat.png"), UsageError, "what explain returned"),
        (lambda: plot([]), UsageError, "panels"),
    ]
    for call, error, words in wrong:
        with pytest.raises(error, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)
    monkeypatch.setattr(model, "record", {})
    with pytest.raises(UsageError, match="no preprocessing") as raised:
        explain(model, files[0])
    assert "\n" not in str(raised.value)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_a_figure_has_the_photograph_and_each_map_with_its_title(model, files):
    attention = explain(model, files)
    relevance = explain(model, files, "relevance", target=[0, 1])
    figure = attention.plot(relevance, title="both")
    row = ["attention", "relevance: cat, tabby"]
    assert titles(figure) == ["a.png", *row, "b.png", "attention", "relevance: $dog_1$"]
    assert figure.get_suptitle() == "both"
    assert titles(plot([attention, relevance])) == titles(figure)
    assert titles(plot(attention[0], titles=["mine"])) == ["a.png", "mine"]
    heads = explain(model, files[0], heads="all")
    assert titles(heads.plot())[1:] == [f"attention, head {head}" for head in range(3)]
    first, last = (explain(model, files[0], layer=layer) for layer in ("first", "last"))
    assert len(set(titles(first.plot(last)))) == 3


def test_low_values_leave_the_photographs_colours(model, files):
    result = explain(model, files[0])
    axes = result.plot(opacity=0.9).axes[1]
    ground, overlay = axes.images
    np.testing.assert_array_equal(ground.get_array(), result.photographs[0].pixels)
    values, opacity = np.asarray(overlay.get_array()), np.asarray(overlay.get_alpha())
    np.testing.assert_allclose(opacity, 0.9 * values, rtol=1e-6)
    placed = result.place(interpolation="bicubic")
    assert values.min() == 0
    assert np.corrcoef(placed.ravel(), values.ravel())[0, 1] > 0.999


def test_a_map_without_its_photograph_is_drawn_alone(model, tmp_path):
    explain(model, photograph()).save(tmp_path / "map.npz")
    loaded = SaliencyMap.load_npz(tmp_path / "map.npz")
    (axes,) = loaded.plot().axes
    assert len(axes.images) == 1


@pytest.mark.parametrize("method", METHODS)
def test_figures_know_how_each_method_looks(method):
    row = METHODS[method]
    look = appearance_of(method)
    assert (look.normalisation, look.interpolation) == (row.normalisation, row.interpolation)


def test_the_ending_says_what_is_written(model, files, tmp_path):
    result = explain(model, files[0])
    for name in ("f.png", "f.PDF", "f.svg", "f.npz"):
        result.save(tmp_path / name)
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.format == "PNG"
        assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        size = picture.size
    assert (tmp_path / "f.PDF").read_bytes().startswith(b"%PDF")
    assert ElementTree.parse(tmp_path / "f.svg").getroot().tag.endswith("svg")
    assert SaliencyMap.load_npz(tmp_path / "f.npz").method == "attention"
    result.save(tmp_path / "g.png", dpi=300)
    with Image.open(tmp_path / "g.png") as picture:
        assert np.array(picture.size) == pytest.approx(2 * np.array(size), abs=4)


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_equal_figures_give_equal_files_and_replace_none(model, files, tmp_path, ending):
    result = explain(model, files)
    first, second = (tmp_path / f"{name}.{ending}" for name in "xy")
    result.save(first)
    result.save(second)
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(OutputError, match="overwrite"):
        result.save(first)
    result.save(first, overwrite=True)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.stem[0] in ".xy") == [
        f".{ending}",
        f".{ending}",
    ]


def test_a_file_that_cannot_be_is_refused_in_one_line(model, files, tmp_path):
    one, several = explain(model, files[0]), explain(model, files)
    wrong = [
        (lambda: one.save(tmp_path / "f.jpg"), "ends in"),
        (lambda: one.save(tmp_path / "f"), "ends in"),
        (lambda: several.save(tmp_path / "f.npz"), "one result"),
        (lambda: one.save(tmp_path / "f.npz", title="x"), "one result"),
        (lambda: one.save(tmp_path / "f.png", colormap="no"), "colormap"),
        (lambda: one.save(tmp_path / "f.png", opacity=2), "Opacity"),
        *[
            (lambda dpi=dpi: one.save(tmp_path / "f.png", dpi=dpi), "dpi=")
            for dpi in (0, -1, np.nan, "300", 1e6)
        ],
        (lambda: one.save(tmp_path / "f.png", titles=["a", "b"]), "2 titles"),
    ]
    for call, words in wrong:
        with pytest.raises(UsageError, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_the_table_holds_every_number(model, files, tmp_path):
    maps = explain(model, files, heads="all")
    text = maps.to_csv()
    maps.to_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == text
    rows = list(csv.DictReader(io.StringIO(text)))
    for result in maps:
        name = result.picture_name(0)
        mine = [row for row in rows if row["picture"] == name]
        values = np.full(result.values.shape[1:], np.nan, np.float32)
        for row in mine:
            place = tuple(int(row[axis]) for axis in ("head", "row", "column"))
            values[place] = np.float32(row["value"])
        np.testing.assert_array_equal(values, result.values[0])
    one = explain(model, files[0], "relevance", target=2)
    assert {(row["head"], row["target"]) for row in one.rows()} == {("mean", 2)}
    with pytest.raises(OutputError, match="overwrite"):
        maps.to_csv(tmp_path / "t.csv")


def test_notebooks_show_a_result_and_not_a_thousand(model, files):
    maps = explain(model, [files[0]] * 9 + [files[1]])
    for shown in (maps, maps[0], maps[0].plot()):
        assert shown._repr_png_().startswith(b"\x89PNG")
    html = maps._repr_html_()
    assert html.startswith("<figure><img")
    assert "and 2 more" in html
    text = explain(model, Image.fromarray(photograph()))._repr_html_()
    assert text.count("<img") == 1
