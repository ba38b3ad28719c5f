"""Keras' plain forms of a model: one tensor, or one flat dict, with the same weights."""

import keras
import numpy as np
import pytest

from kerasvit.errors import UsageError

every_family = pytest.mark.parametrize("family", ["ViT", "distilled", "CaiT"])


def _arrays(outputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


@pytest.mark.backend
@every_family
@pytest.mark.parametrize("mode", ["full", "cls", "none"])
def test_one_flat_dict_holds_what_the_model_returns(tools, models, images, family, mode):
    logits, sa_scores, ca_scores = tools.run(models[family].with_attention(mode), images)
    view = models[family].functional(attention=mode)
    assert type(view).__name__ == "Functional"
    tools.assert_close(_arrays(view(images)), {"logits": logits, **sa_scores, **ca_scores})
    assert view.output["logits"].shape == (None, 5)


def test_blocks_and_other_arguments_of_a_view_are_passed_on(tools, models, images):
    view = models["CaiT"].functional("full", blocks=[-1], scores_before_mixing=True)
    outputs = _arrays(view(images))
    assert sorted(outputs) == [
        "ca_ffn_block_00_att",
        "ca_ffn_block_01_att",
        "logits",
        "sa_ffn_block_02_att",
    ]
    np.testing.assert_allclose(outputs["sa_ffn_block_02_att"].sum(axis=-1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="attention must be"):
        models["ViT"].functional("some")


@every_family
def test_a_classifier_gives_the_logits_alone(tools, models, images, family):
    model = models[family]
    view = model.classifier()
    assert type(view).__name__ == "Functional"
    tools.assert_close(_arrays(view(images)), tools.run(model, images)[0])
    assert view.count_params() == model.count_params()


def test_the_mean_of_both_heads_is_a_distilled_models_classifier(tools, models, images):
    both = models["distilled"].with_attention("none", distillation_output="both")
    expected = tools.run(both, images)[0].mean(axis=1)
    tools.assert_close(_arrays(both.classifier()(images)), expected)


@every_family
def test_without_a_head_the_classifier_gives_the_feature(tools, images, family):
    model = tools.make(family, num_classes=0)
    tools.assert_close(_arrays(model.classifier()(images)), tools.run(model, images)[0])


def test_images_of_another_size_have_a_view_of_their_own(tools, models):
    images = tools.random_images(height=24, width=16)
    view = models["ViT"].functional(image_shape=(24, 16))
    logits, scores, _ = tools.run(models["ViT"], images)
    tools.assert_close(_arrays(view(images)), {"logits": logits, **scores})


@pytest.mark.backend
@every_family
@pytest.mark.parametrize("kind", ["classifier", "functional"])
def test_a_view_is_saved_as_any_keras_model(tools, models, images, tmp_path, family, kind):
    view = getattr(models[family], kind)()
    view.save(tmp_path / "view.keras")
    loaded = keras.saving.load_model(tmp_path / "view.keras")
    assert tools.same_weights(loaded, view)
    tools.assert_close(
        loaded.predict(images, verbose=0), view.predict(images, verbose=0), tolerance=1e-5
    )


@pytest.mark.backend
def test_plain_losses_train_the_models_own_weights(tools, images):
    model = tools.make("CaiT")
    labels = np.array([1, 3])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    view = model.classifier()
    view.compile("sgd", loss, metrics=["accuracy"])
    before = float(keras.ops.convert_to_numpy(loss(labels, model(images)[0])))
    losses = view.fit(images, labels, epochs=2, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(before, rel=1e-4)
    assert losses[1] < losses[0]
    tools.assert_close(tools.run(model, images)[0], _arrays(view(images)))


@pytest.mark.backend
def test_scores_may_have_a_loss_too(tools, images):
    model = tools.make("ViT")
    view = model.functional(attention="cls", blocks=[-1])
    name = "sa_ffn_block_02_att"
    view.compile("sgd", loss={"logits": "mse", name: "mse"})
    targets = {"logits": np.zeros((2, 5)), name: np.full((2, 3, 1, 7), 1 / 7)}
    history = view.fit(images, targets, verbose=0).history
    scores = _arrays(tools.make("ViT").functional("cls", blocks=[-1])(images))[name]
    assert history[f"{name}_loss"][0] == pytest.approx(np.mean((scores - 1 / 7) ** 2), rel=1e-4)


@every_family
def test_a_headless_view_gives_what_the_head_reads(tools, models, images, family):
    model = models[family]
    view = model.headless()
    feature, sa_scores, ca_scores = tools.run(view, images)
    assert (sa_scores, ca_scores, view.head_names) == ({}, {}, ())
    heads = [layer.get_weights() for layer in model.heads()]
    parts = [feature] if feature.ndim == 2 else [feature[:, 0], feature[:, 1]]
    logits = [part @ kernel + bias for part, (kernel, bias) in zip(parts, heads, strict=True)]
    tools.assert_close(np.mean(logits, axis=0), tools.run(model, images)[0], tolerance=1e-5)


@pytest.mark.backend
def test_keras_own_export_names_ours_also_after_loading(tools, tmp_path):
    tools.make("CaiT", num_layers=1).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(UsageError, match=r"kerasvit\.export\(model, path") as caught:
        loaded.export(tmp_path / "folder")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "folder").exists()
    if keras.backend.backend() == "tensorflow":
        loaded.classifier().export(tmp_path / "folder", verbose=False)
        assert (tmp_path / "folder" / "saved_model.pb").is_file()


@pytest.mark.filterwarnings("ignore")
def test_keras_own_onnx_of_plain_views_runs_at_any_batch(tools, tmp_path):
    if keras.backend.backend() != "torch":
        pytest.skip("elsewhere Keras needs jax2onnx or tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = tools.make("CaiT", num_layers=1).classifier()
    path = str(tmp_path / "model.onnx")
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    images = np.random.default_rng(0).normal(size=(3, *model.input.shape[1:])).astype("float32")
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    np.testing.assert_allclose(logits, keras.ops.convert_to_numpy(model(images)), atol=1e-5)
