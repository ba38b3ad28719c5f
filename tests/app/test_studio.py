"""What the page draws is what `kerasvit.look` draws, for every choice that there is."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from kerasvit import look
from kerasvit.app import studio as studio_room
from kerasvit.app.asked import PATCH, Asked, Drawing
from kerasvit.app.choices import Choices
from kerasvit.app.downloads import KINDS, Downloads
from kerasvit.app.screen import canvas_of, look_of, patch_at, screen_size
from kerasvit.app.shelf import ModelShelf
from kerasvit.app.studio import Studio
from kerasvit.errors import InputError, UsageError
from kerasvit.images.geometry import Geometry
from kerasvit.render.features.outline import outline
from kerasvit.render.video.frames import create_video

CAIT, VIT = "cait_nano_patch4_32.cifar10", "vit_nano_patch4_32.cifar10"


@pytest.fixture(scope="module")
def studio():
    return Studio(ModelShelf())


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A picture of 48x72 pixels: 8x12 patches."""
    small = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "photograph.png"
    Image.fromarray(small).resize((72, 48), Image.Resampling.BICUBIC).save(path)
    return path


ASKED = [
    (Asked(CAIT), {}),
    (Asked(VIT, target=8), {"target": 8}),
    (Asked(CAIT, "attention"), {"method": "attention"}),
    (
        Asked(CAIT, "attention", block="sa_ffn_block_02_att", head=3),
        {"method": "attention", "layer": 2, "stage": "sa", "heads": 3, "query": "patches"},
    ),
    (
        Asked(CAIT, "attention", query=PATCH, point=(0.99, 0.3)),
        {"method": "attention", "stage": "sa", "query": (7, 3)},
    ),
    (
        Asked(VIT, "attention", block="sa_ffn_block_01_att", head="max", query=PATCH),
        {"method": "attention", "layer": 1, "heads": "max", "query": (4, 6)},
    ),
    (Asked(CAIT, "gradcam", target=3), {"method": "gradcam", "target": 3}),
    # What does not concern the method is left out.
    (Asked(VIT, "lost", target=3, head=1, query="patches"), {"method": "lost"}),
    (Asked(VIT, "attention", resize=48), {"method": "attention", "resize": 48}),
]


@pytest.mark.parametrize(("asked", "options"), ASKED)
def test_files_are_those_of_the_command(studio, photograph, tmp_path, asked, options):
    downloads = Downloads(studio, tmp_path / "made")
    given = downloads.of_picture(photograph, asked, Drawing(), ["sheet", "overlay", "arrays"])
    run = look.saliency(photograph, studio.shelf.get(asked.model), out=tmp_path, **options)
    wanted = run[0].files
    for kind in ("sheet", "overlay"):
        pixels = [np.asarray(Image.open(files[kind])) for files in (given, wanted)]
        np.testing.assert_array_equal(*pixels)
    with np.load(given["arrays"]) as one, np.load(wanted["arrays"]) as other:
        assert one.files == other.files
        for name in other.files:
            np.testing.assert_array_equal(one[name], other[name])
    assert {file.name for file in given.values()} == {file.name for file in wanted.values()}


def test_all_kinds_of_files_are_made_and_old_folders_go(studio, photograph, tmp_path, monkeypatch):
    from kerasvit.app import downloads as room

    monkeypatch.setattr(room, "KEPT_DOWNLOADS", 2)
    downloads = Downloads(studio, tmp_path / "made")
    for kinds in (["arrays"], ["overlay"], list(KINDS)):
        files = downloads.of_picture(photograph, Asked(CAIT), Drawing(), kinds)
        assert all(file.stat().st_size for file in files.values())
    assert len(list((tmp_path / "made").iterdir())) == 2
    with pytest.raises(UsageError, match="Choose one at least"):
        downloads.of_picture(photograph, Asked(CAIT), Drawing(), [])


@pytest.mark.backend
def test_the_picture_on_the_screen_is_the_map_over_the_photograph(studio, photograph):
    drawing = Drawing("blend", 0.4, False, "viridis")
    picture, seen = studio.draw(photograph, Asked(CAIT, "attention"), drawing)
    assert picture.shape == (427, 640, 3)
    assert seen.title == "class attention 0 · mean"
    explainer = look.Explainer(studio.shelf.get(CAIT), look.Settings(method="attention"))
    prepared = explainer.prepare(np.asarray(Image.open(photograph)))
    values = explainer.explain(prepared).maps["attention"].values[0]
    canvas = dataclasses.replace(canvas_of(prepared.image, prepared.geometry), colormap="viridis")
    expected = look_of("attention", drawing).overlay(canvas, values)
    np.testing.assert_array_equal(picture, expected)


def test_opacity_clip_and_colours_need_no_second_run_of_the_model(studio, photograph, monkeypatch):
    asked = Asked(VIT, "rollout")
    studio.draw(photograph, asked, Drawing())
    monkeypatch.setattr(studio_room, "Explainer", None)
    pictures = [
        studio.draw(photograph, asked, drawing)[0]
        for drawing in (Drawing(), Drawing(opacity=0.2), Drawing(colormap="gray"))
    ]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_a_patch_that_asks_is_outlined_where_it_was_pointed_at(studio, photograph):
    asked = Asked(VIT, "attention", query=PATCH, point=(0.06, 0.95))
    picture, seen = studio.draw(photograph, asked, Drawing())
    plain = look_of("attention", Drawing()).overlay(seen.canvas, seen.result.values[0])
    assert seen.patch == (0, 11)
    changed = np.argwhere((picture != plain).any(axis=-1))
    # Patches are 53 pixels long on the screen.
    assert changed.min(axis=0)[1] >= 11 * 53
    assert changed.max(axis=0)[0] <= 53 + 6


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 3), (4, 6)])
def test_every_pixel_of_a_patch_leads_to_it(row, column):
    geometry = Geometry((100, 140), (10.0, 20.0, 60.0, 90.0), (40, 56))
    for share in (0.01, 0.99):
        point = (10 + (row + share) * 10) / 100, (20 + (column + share) * 10) / 140
        assert patch_at(point, geometry, (5, 7)) == (row, column)
    # Outside of what the model saw, the nearest one.
    assert patch_at((0.0, 1.0), geometry, (5, 7)) == (0, 6)


def test_an_outline_stays_inside_the_picture_at_its_edges():
    geometry = Geometry((40, 40), (0, 0, 40, 40), (40, 40))
    for patch in ((0, 0), (9, 9), (0, 9)):
        picture = np.full((40, 40, 3), 128, np.uint8)
        outline(picture, geometry, (10, 10), patch)
        assert {0, 128, 255} <= set(np.unique(picture).tolist())


@pytest.mark.parametrize("size", [(32, 32), (1, 5000), (4000, 3000), (700, 900)])
def test_pictures_fit_the_screen(size):
    height, width = screen_size(size)
    assert 640 <= max(height, width) <= 960
    assert min(height, width) >= 1


def test_too_many_patches_are_refused_before_the_memory_is_full(studio, tmp_path):
    Image.new("RGB", (4, 4000)).save(tmp_path / "long.png")
    with pytest.raises(InputError, match="patches"):
        studio.see(tmp_path / "long.png", Asked(VIT))
    Image.new("RGB", (20, 1200)).save(tmp_path / "less.png")
    with pytest.raises(InputError, match="scores take up to 8 GiB"):
        studio.see(tmp_path / "less.png", Asked(VIT, resize=48))


def test_a_picture_above_the_pages_limit_is_refused(studio, tmp_path, monkeypatch):
    monkeypatch.setattr(studio_room, "MAX_PIXELS", 999)
    Image.new("RGB", (40, 25)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match="999"):
        studio.see(tmp_path / "large.png", Asked(VIT))


def test_a_video_above_the_pages_limit_is_refused_and_leaves_nothing(studio, tmp_path, monkeypatch):
    from kerasvit.app import downloads as room

    monkeypatch.setattr(room, "MAX_FRAMES", 2)
    with create_video(tmp_path / "film.gif", 10) as write:
        for at in range(3):
            write(np.full((32, 32, 3), 60 * at, np.uint8))
    downloads = Downloads(studio, tmp_path / "made")
    with pytest.raises(InputError, match="up to 2 frames"):
        downloads.of_video(
            tmp_path / "film.gif", Asked(CAIT), Drawing(), "overlay", lambda done, count: None
        )
    assert not list((tmp_path / "made").rglob("*.*"))


def test_choices_of_a_model(studio):
    cait, vit = studio.choices(CAIT), studio.choices(VIT)
    assert cait.blocks[cait.usual] == "ca_ffn_block_00_att"
    assert vit.blocks[vit.usual] == "sa_ffn_block_08_att"
    assert (cait.block_at(cait.usual), cait.block_at(1)) == (None, "sa_ffn_block_01_att")
    assert cait.block_titles()[-1] == "class attention 1"
    # The class token alone asks in class attention.
    assert cait.blocks[cait.asking_patches(len(cait.blocks) - 1)] == "sa_ffn_block_05_att"
    assert vit.asking_patches(3) == 3
    assert "class_attention_rollout" in cait.methods
    assert "class_attention_rollout" not in vit.methods
    assert vit.classes[3] == "cat"


@pytest.mark.parametrize("overrides", [
    {"num_classes": 0},
    {"num_classes": 1},
    {"use_class_token": False, "pooling": "average"},
    {"pooling": "attention"},
    {"use_distillation_token": True},
])  # fmt: skip
def test_every_choice_of_every_kind_of_model_can_be_drawn(
    overrides, photograph, preprocessing_record
):
    """No combination of block and query that the page offers ends in an error."""
    import kerasvit

    model = kerasvit.VisionTransformer(
        image_shape=(16, 16, 3), patch_size=4, hidden_dim=16, num_layers=2, num_heads=2, mlp_dim=16,
        **{"num_classes": 3, **overrides},
    )  # fmt: skip
    model.record = {"preprocessing": preprocessing_record(16, 16)}
    loaded = look.load_model(model)
    studio = Studio(ModelShelf())
    studio.shelf.get = lambda name: loaded
    choices = Choices.of(loaded)
    assert choices.queries
    for position, _ in enumerate(choices.blocks):
        for _, query in choices.queries:
            at = choices.asking_patches(position) if query == PATCH else position
            asked = Asked("x", "attention", block=choices.block_at(at), query=query)
            if query != PATCH and choices.asking_patches(at) != at and query == "patches":
                continue
            picture, _ = studio.draw(photograph, asked, Drawing())
            assert picture.dtype == np.uint8


def test_a_regressions_values_are_no_probabilities(photograph, preprocessing_record):
    import kerasvit

    model = kerasvit.VisionTransformer(
        image_shape=(16, 16, 3), patch_size=4, hidden_dim=16, num_layers=1, num_heads=2, mlp_dim=16,
        num_classes=2,
    )  # fmt: skip
    preprocessing = preprocessing_record(16, 16)
    model.record = {"preprocessing": preprocessing, "problem_type": "regression"}
    studio = Studio(ModelShelf())
    studio.shelf.get = lambda name: look.load_model(model)
    seen = studio.see(photograph, Asked("x"))
    assert seen.classes == []
