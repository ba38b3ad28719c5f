"""What is drawn where no method is asked for: what speaks for the class, beside the attention."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import kerasvit
from kerasvit import look
from kerasvit.images import read
from kerasvit.look.first import LEADS, first_methods
from kerasvit.saliency import explain

SMALL = {
    "image_shape": (16, 24, 3),
    "patch_size": 8,
    "hidden_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_dim": 8,
}


def small_vit(**arguments):
    return kerasvit.VisionTransformer(**{**SMALL, "num_classes": 3, **arguments})


def explained(model, photograph, **settings):
    explainer = look.Explainer(model, look.Settings(**settings))
    found = explainer.explain(explainer.prepare(read(photograph)))
    return found, look.Artist(explainer)


@pytest.mark.backend
def test_a_model_with_classes_leads_with_the_predicted_one(shipped, photograph):
    found, artist = explained(shipped, photograph)
    assert list(found.maps) == ["relevance", "attention"]
    relevance, attention = found.maps.values()
    pixels = found.picture.prepared.pixels[None]
    predicted = found.classes[0].number
    assert relevance.target == (predicted,)
    expected = explain(shipped.model, pixels, "relevance", target=predicted, times_attention=True)
    np.testing.assert_allclose(relevance.values, expected.values, rtol=1e-4, atol=1e-7)
    blocks = [block.values.mean(1) for block in found.blocks.values()]
    assert len(blocks) == 2
    np.testing.assert_allclose(attention.values, np.mean(blocks, axis=0), rtol=1e-5)
    assert attention.layers == tuple(found.blocks)
    np.testing.assert_array_equal(artist.overlay(found), artist.overlay(found, "relevance"))
    assert list(artist.arrays(found))[:2] == ["relevance", "attention"]


def test_the_files_are_one_sheet_one_overlay_and_the_arrays(shipped, photograph, tmp_path):
    (drawn,) = look.saliency(photograph, shipped, out=tmp_path / "out")
    assert list(drawn.files) == ["sheet", "overlay", "arrays"]
    found, artist = explained(shipped, photograph)
    overlay = np.asarray(Image.open(drawn.files["overlay"]))
    np.testing.assert_array_equal(overlay, artist.overlay(found, "relevance"))
    with np.load(drawn.files["arrays"]) as arrays:
        assert arrays.files[0] == "relevance"
        assert {"attention", *found.blocks, "box", "original_size", "header"} <= set(arrays.files)


def test_low_values_leave_the_photograph_and_its_colours(shipped, photograph):
    found, artist = explained(shipped, photograph)
    drawn, image = artist.overlay(found), read(photograph)
    same = (drawn == image).all(axis=-1)
    assert 0.05 < same.mean() < 0.95
    look_of_map = artist.look("relevance")
    placed = found.picture.geometry.place(
        look_of_map.scaled(found.maps["relevance"].values[0]), interpolation="bicubic"
    )
    assert same[placed < 0.19].all()
    assert not same[placed > 0.5].any()


@pytest.mark.parametrize(
    ("asked", "methods"),
    [
        ({"layer": 1}, ["attention"]),
        ({"layer": "all"}, ["attention"]),
        ({"heads": "max"}, ["attention"]),
        ({"stage": "sa", "query": "mean"}, ["attention"]),
        ({"method": "attention"}, ["attention"]),
        ({"method": ("legrad", "attention")}, ["legrad", "attention"]),
        ({"target": "ship"}, ["relevance", "attention"]),
        ({"options": {"relevance": {"start_layer": 2}}}, ["relevance", "attention"]),
    ],
)
def test_what_is_asked_for_is_drawn(shipped, photograph, asked, methods):
    found, artist = explained(shipped, photograph, **asked)
    assert list(found.maps) == methods
    assert list(artist.arrays(found))[: len(methods)] == methods
    if "attention" in asked.get("method", ()):
        first = next(iter(found.blocks.values()))
        np.testing.assert_allclose(found.maps["attention"].values, first.values.mean(1), rtol=1e-6)
    if "target" in asked:
        assert found.maps["relevance"].target == (8,)


def test_without_classes_the_attention_leads_unless_a_target_is_named():
    model = small_vit(num_classes=0)
    assert first_methods(model, (16, 24)) == ("attention",)
    assert first_methods(model, (16, 24), explains_class=True) == ("relevance", "attention")


def test_a_method_without_meaning_for_the_model_makes_room_for_the_next():
    pooled = small_vit(pooling="attention", use_class_token=False)
    assert first_methods(pooled, (16, 24)) == (LEADS[1], "attention")
    assert first_methods(small_vit(), (16, 24)) == (LEADS[0], "attention")


def test_scores_that_would_fill_the_memory_are_not_made_unasked():
    model = small_vit()
    assert first_methods(model, (1600, 1600))[0] == "attention"
    assert first_methods(model, (1600, 1600), explains_class=True)[0] == "relevance"


def test_videos_show_their_attention_unless_a_class_is_named():
    assert look.Settings().video_methods == ("attention",)
    assert look.Settings(layer=0).video_methods == ("attention",)
    assert look.Settings(target="cat").video_methods == ("relevance",)
    assert look.Settings(method=("rollout", "lost")).video_methods == ("rollout", "lost")


def test_the_settings_say_that_the_choice_was_open():
    assert look.Settings().to_dict()["methods"] is None
    assert look.Settings(layer=0).to_dict()["methods"] == ("attention",)
    assert dataclasses.replace(look.Settings(), method="rollout").has_one_overlay
