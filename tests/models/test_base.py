"""What ViT and CaiT promise alike: scores, views, image sizes, arguments, precision."""

import json

import keras
import numpy as np
import pytest

from kerasvit.errors import InputError

FAMILIES = ("ViT", "distilled", "CaiT")
KEYS = [f"sa_ffn_block_{index:02d}_att" for index in range(3)]
CLASS_KEYS = [f"ca_ffn_block_{index:02d}_att" for index in range(2)]
ROWS = {"ViT": 1, "distilled": 2}

every_family = pytest.mark.parametrize("family", FAMILIES)


def _shapes(family, mode, batch=2, patches=6):
    """The shapes of the scores by key: the whole score contract."""
    class_scores = {key: (batch, 3, 1, 1 + patches) for key in CLASS_KEYS}
    if mode == "none":
        return {}, {}
    if family == "CaiT":
        full = {key: (batch, 3, patches, patches) for key in KEYS}
        return full if mode == "full" else {}, class_scores
    tokens = ROWS[family] + patches
    rows = tokens if mode == "full" else ROWS[family]
    return {key: (batch, 3, rows, tokens) for key in KEYS}, {}


def _shapes_of(scores):
    return {key: tuple(value.shape) for key, value in scores.items()}


@pytest.mark.backend
@every_family
@pytest.mark.parametrize("mode", ["full", "cls", "none"])
def test_each_mode_returns_its_scores_in_depth_order(tools, models, images, family, mode):
    logits, sa_scores, ca_scores = tools.run(models[family].with_attention(mode), images)
    expected_sa, expected_ca = _shapes(family, mode)
    assert logits.shape == (2, 5)
    assert _shapes_of(sa_scores) == expected_sa
    assert _shapes_of(ca_scores) == expected_ca
    assert list(sa_scores) == list(expected_sa)
    assert list(ca_scores) == list(expected_ca)
    assert list(sa_scores) == sorted(sa_scores)


@pytest.mark.backend
@every_family
def test_an_image_gives_the_same_alone_and_in_a_batch(tools, models, images, family):
    batch = tools.run(models[family], images)
    alone = tools.run(models[family], images[1:])
    tools.assert_close(alone, keras.tree.map_structure(lambda array: array[1:], batch))


@pytest.mark.backend
@every_family
def test_modes_differ_in_what_they_return_and_not_in_its_values(tools, models, images, family):
    logits, sa_scores, ca_scores = tools.run(models[family], images)
    assert np.abs(logits).max() > 0.1
    for mode in ("cls", "none"):
        other, sa_rows, ca_rows = tools.run(models[family].with_attention(mode), images)
        tools.assert_close(other, logits, tolerance=5e-6)
        for key, rows in sa_rows.items():
            tools.assert_close(rows, sa_scores[key][:, :, : rows.shape[2]])
        for key, rows in ca_rows.items():
            tools.assert_close(rows, ca_scores[key])


@pytest.mark.backend
@every_family
def test_probabilities_sum_to_one(tools, models, images, family):
    view = models[family]
    if family == "CaiT":
        view = view.with_attention("full", scores_before_mixing=True)
    _, sa_scores, ca_scores = tools.run(view, images)
    for scores in (*sa_scores.values(), *ca_scores.values()):
        assert scores.min() >= 0
        np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)


@every_family
@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ([-1], [2]),
        ([0, 2], [0, 2]),
        ([2, 0, -1], [0, 2]),
        (range(2), [0, 1]),
        ([], []),
        (None, [0, 1, 2]),
    ],
)
def test_scores_of_chosen_blocks(tools, models, images, family, blocks, kept):
    logits, all_scores, ca_scores = tools.run(models[family], images)
    view = models[family].with_attention("full", blocks=blocks)
    outputs = tools.run(view, images)
    expected = {KEYS[block]: all_scores[KEYS[block]] for block in kept}
    assert list(outputs[1]) == list(expected)
    tools.assert_close(outputs, (logits, expected, ca_scores))


@every_family
def test_block_numbers_may_come_from_numpy(models, family):
    view = models[family].with_attention("full", blocks=np.array([-1, 0]))
    assert json.dumps(view.get_config()["attention_blocks"]) == "[0, 2]"


@every_family
def test_a_view_has_the_same_weights_and_a_config_of_its_own(models, family):
    model = models[family]
    view = model.with_attention("cls", blocks=[1]).with_attention("none", blocks=[0])
    assert [id(weight) for weight in view.weights] == [id(weight) for weight in model.weights]
    changes = {"attention": "none", "attention_blocks": [0]}
    assert view.get_config() == {**model.get_config(), **changes}
    assert model.attention == "full"


@every_family
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "all"}, "attention must be one of"),
        ({"mode": None}, "attention must be one of"),
        ({"mode": "full", "blocks": [3]}, "from -3 to 2"),
        ({"mode": "full", "blocks": [-4]}, "from -3 to 2"),
        ({"mode": "full", "blocks": ["last"]}, "from -3 to 2"),
        ({"mode": "full", "blocks": 1}, "from -3 to 2"),
        ({"mode": "full", "num_classes": 3}, "A view can change"),
    ],
)
def test_a_view_that_cannot_be_is_refused_in_one_line(models, family, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        models[family].with_attention(**arguments)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


@every_family
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": "some"}, "attention must be one of"),
        ({"attention_blocks": [7]}, "from -3 to 2"),
        ({"num_heads": 5}, "num_heads must divide"),
        ({"num_heads": 0}, "num_heads must be"),
        ({"hidden_dim": 0}, "hidden_dim must be"),
        ({"num_layers": 0}, "num_layers must be"),
        ({"num_layers": 2.0}, "num_layers must be"),
        ({"mlp_dim": -1}, "mlp_dim must be"),
        ({"num_classes": -1}, "num_classes must be"),
        ({"patch_size": 0}, "patch_size must be"),
        ({"patch_size": (8, 8, 8)}, "patch_size must be"),
        ({"image_shape": (16,)}, "image_shape must be"),
        ({"image_shape": (None, None, 3)}, "image_shape must be"),
        ({"image_shape": (20, 24, 3)}, "multiples of the patch size"),
        ({"activation": "tanhh"}, "activation must be one of"),
        ({"position_resampling": "nearest"}, "resampling must be one of"),
        ({"drop_path_rate": 1.0}, "drop_path_rate must lie in"),
        ({"dropout_rate": 1.0}, "dropout_rate must lie in"),
        ({"attention_dropout_rate": -0.1}, "attention_dropout_rate must lie in"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(tools, family, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        tools.make(family, **arguments)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


@every_family
@pytest.mark.parametrize(("height", "width"), [(16, 24), (24, 16), (8, 48)])
def test_images_of_other_sizes_and_their_layout(tools, models, family, height, width):
    model, images = models[family], tools.random_images(2, height, width)
    logits, sa_scores, ca_scores = tools.run(model, images)
    grid = (height // 8, width // 8)
    expected = _shapes(family, "full", 2, grid[0] * grid[1])
    assert logits.shape == (2, 5)
    assert (_shapes_of(sa_scores), _shapes_of(ca_scores)) == expected
    stages = {"sa": sa_scores, "ca": ca_scores}
    for stage, scores in stages.items():
        for score in scores.values():
            layout = model.token_layout((height, width), stage=stage)
            layout.check(score.shape[-1])
            assert (layout.grid, layout.patch_size) == (grid, (8, 8))
            with pytest.raises(InputError, match="does not fit the layout"):
                layout.check(score.shape[-1] + 1)
    assert model.token_layout((height, width, 3)) == model.token_layout((height, width))
    assert model.token_layout() == model.token_layout((16, 24))


@every_family
def test_images_that_patches_do_not_fill_are_refused(tools, models, family):
    with pytest.raises(ValueError, match=r"multiples of the patch size.*17x24"):
        models[family](tools.random_images(1, 17, 24))
    with pytest.raises(ValueError, match=r"multiples of the patch size.*17x24"):
        models[family].token_layout((17, 24))


@every_family
def test_a_non_square_patch(tools, family):
    model = tools.make(family, patch_size=(16, 4))
    layout = model.token_layout()
    assert (layout.grid, layout.image_size) == ((1, 6), (16, 24))
    layout.check(tools.run(model, tools.random_images())[1][KEYS[0]].shape[-1])


@every_family
def test_weights_have_paths_of_names_alone(models, family):
    paths = [weight.path for weight in models[family].weights]
    assert len(set(paths)) == len(paths)
    root = models[family].name
    assert all(path.startswith(f"{root}/") for path in paths)
    assert f"{root}/sa_ffn_block_02/attention/qkv/kernel" in paths
    assert f"{root}/patch_embedding/projection/kernel" in paths
    # No name that Keras counts up, which another model in the process would change.
    numbered = "".join(path.removeprefix(root) for path in paths)
    assert "dense/" not in numbered
    assert "layer_normalization" not in numbered


@every_family
def test_building_again_changes_nothing(tools, images, family):
    model = tools.make(family)
    before = tools.run(model, images)
    weights = [id(weight) for weight in model.weights]
    model.build((None, 16, 24, 3))
    assert [id(weight) for weight in model.weights] == weights
    tools.assert_close(tools.run(model, images), before, 0)


@every_family
def test_features_are_the_normalised_tokens_that_the_head_reads(tools, models, images, family):
    model = models[family]
    features = keras.ops.convert_to_numpy(model.forward_features(images))
    stage = "ca" if family == "CaiT" else "sa"
    assert features.shape == (2, model.token_layout(stage=stage).num_tokens, 12)
    logits = keras.ops.convert_to_numpy(model.head(features[:, 0]))
    if family == "distilled":
        logits = (logits + keras.ops.convert_to_numpy(model.distillation_head(features[:, 1]))) / 2
    tools.assert_close(logits, tools.run(model, images)[0], 1e-5)


@every_family
def test_without_classes_the_first_output_is_the_feature(tools, images, family):
    model = tools.make(family, num_classes=0)
    features = keras.ops.convert_to_numpy(model.forward_features(images))
    pooled = features[:, :2].mean(axis=1) if family == "distilled" else features[:, 0]
    assert not any("head" in weight.path for weight in model.weights)
    tools.assert_close(tools.run(model, images)[0], pooled, 1e-5)


@every_family
def test_a_model_describes_itself(models, family):
    lines = []
    models[family].summary(print_fn=lambda line, **_: lines.append(line))
    assert "sa_ffn_block_02" in "\n".join(lines)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("family", "policy"), [("ViT", "mixed_float16"), ("CaiT", "mixed_bfloat16")]
)
def test_a_mixed_policy_reaches_every_layer(tools, images, family, policy):
    model = tools.make(family, dtype=policy)
    outputs = model(images)
    dtype = policy.removeprefix("mixed_")
    outputs = keras.tree.flatten(outputs)
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs} == {dtype}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_config()["dtype"]["config"]["name"] == policy
    exact = tools.run(tools.make(family), images)[0]
    logits = keras.ops.convert_to_numpy(keras.ops.cast(outputs[0], "float32"))
    assert np.abs(logits - exact).max() < 0.1 * np.abs(exact).max()


@every_family
def test_a_layout_map_finds_the_weights_by_their_paths(models, family):
    """`keras.distribution.LayoutMap` looks weights up by patterns of paths."""
    mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"), ["cpu:0"])
    layout_map = keras.distribution.LayoutMap(mesh)
    layout_map[".*attention/qkv/kernel"] = (None, "model")
    found = [w.path for w in models[family].weights if layout_map[w.path] is not None]
    assert len(found) == 3
