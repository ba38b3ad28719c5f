"""Configs and files of models: nothing is lost on the way there and back, quantized or not."""

import gc
import inspect
import json

import keras
import numpy as np
import pytest

from kerasvit.errors import OutputError
from kerasvit.models import CaiT, VisionTransformer, XCiT

every_family = pytest.mark.parametrize("family", ["ViT", "distilled", "CaiT", "XCiT"])


def _logits(tools, model, images):
    """The logits of many images, in batches of the size that the other tests compile for."""
    batches = [tools.run(model, images[start : start + 2])[0] for start in range(0, len(images), 2)]
    return np.concatenate(batches)


def _defaults(model_type):
    parameters = inspect.signature(model_type.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


# Every argument away from its default; rows for a ViT, whose poolings and heads exclude each other.
CHANGED = {
    "image_shape": [16, 24, 3],
    "patch_size": [16, 4],
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 3,
    "num_heads": 3,
    "mlp_dim": 20,
    "use_qkv_bias": False,
    "activation": "silu",
    "layer_scale_init_value": 0.5,
    "layer_norm_epsilon": 1e-5,
    "dropout_rate": 0.1,
    "attention_dropout_rate": 0.2,
    "drop_path_rate": 0.3,
    "position_resampling": "bicubic",
    "attention": "cls",
    "attention_blocks": [0, 2],
    "record": {"source": {"name": "x", "mean": [0.5, 0.25]}, "classes": ["a", "b"]},
}
CHANGED_VIT = {
    **CHANGED,
    "ignore_remainder": True,
    "num_registers": 2,
    "position_embedding": "patches",
    "use_qk_norm": True,
    "use_pre_norm": True,
    "use_patch_norm": True,
    "use_sub_norm": True,
    "use_projection_bias": False,
    "norm_type": "rms",
    "block_type": "parallel",
    "attention_type": "differential",
    "mlp_type": "gated",
}
CONFIGS = {
    "rotary ViT": (
        VisionTransformer,
        {
            "image_shape": [16, 24, 3],
            "patch_size": [8, 8],
            "hidden_dim": 16,
            "num_layers": 3,
            "num_heads": 4,
            "mlp_dim": 20,
            "position_embedding": "none",
            "rope_type": "dinov3",
            "rope_temperature": 50.0,
            "rope_periods": "bfloat16",
            "use_key_bias": False,
            "num_key_value_heads": 2,
            "full_head_blocks": 1,
            "use_mlp_sub_norm": True,
            "layer_scale_init_value": 0.5,
            "use_mlp_layer_scale": False,
            "pooling": "attention",
            "pooling_heads": 2,
            "pooling_mlp_dim": 24,
        },
    ),
    "ViT with positions of a reference grid": (
        VisionTransformer,
        {
            "image_shape": [16, 24, 3],
            "patch_size": [8, 8],
            "hidden_dim": 16,
            "num_layers": 3,
            "num_heads": 4,
            "mlp_dim": 20,
            "rope_type": "pe",
            "rope_reference_grid": [4, 4],
            "rope_offset": 1.0,
        },
    ),
    "BEiT": (
        VisionTransformer,
        {
            "image_shape": [16, 24, 3],
            "patch_size": [8, 8],
            "hidden_dim": 12,
            "num_layers": 3,
            "num_heads": 3,
            "mlp_dim": 20,
            "position_embedding": "none",
            "use_relative_position_bias": True,
        },
    ),
    "pooled ViT": (
        VisionTransformer,
        {
            **CHANGED_VIT,
            "use_class_token": False,
            "pooling": "attention",
            "pool_prefix": True,
            "norm_after_pooling": True,
        },
    ),
    "ViT without a last norm": (VisionTransformer, {**CHANGED_VIT, "use_final_norm": False}),
    "ViT with a linear head": (VisionTransformer, {**CHANGED_VIT, "head_blocks": 2}),
    "ViT with an interleaved head": (
        VisionTransformer,
        {**CHANGED_VIT, "head_patch_mean": True, "head_interleaved": True},
    ),
    "distilled ViT": (
        VisionTransformer,
        {**CHANGED_VIT, "use_distillation_token": True, "distillation_output": "both"},
    ),
    "CaiT": (
        CaiT,
        {**CHANGED, "num_class_layers": 1, "scores_before_mixing": True, "pooling": "average"},
    ),
    "XCiT": (
        XCiT,
        {
            **{name: value for name, value in CHANGED.items() if name != "position_resampling"},
            "patch_size": [8, 8],
            "num_class_layers": 1,
            "use_tokens_norm": False,
            "pooling": "average",
        },
    ),
}


def test_the_configs_change_every_argument():
    for model_type in (VisionTransformer, CaiT, XCiT):
        changed = {}
        for configured, arguments in CONFIGS.values():
            if configured is model_type:
                changed.update(arguments)
        defaults = _defaults(model_type)
        assert set(defaults) == set(model_type.arguments) == set(changed)
        assert all(changed[name] != default for name, default in defaults.items())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("way", ["JSON", "keras.saving"])
def test_a_model_comes_back_from_its_config(tools, images, name, way):
    model_type, arguments = CONFIGS[name]
    model = tools.randomise(model_type(**arguments, name="some_name", dtype="float32"))
    config = model.get_config()
    assert {key: config[key] for key in arguments} == arguments
    if way == "JSON":
        rebuilt = model_type.from_config(json.loads(json.dumps(config)))
    else:
        serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        rebuilt = keras.saving.deserialize_keras_object(serialized)
    assert rebuilt.get_config() == config
    assert rebuilt.name == "some_name"
    assert [w.path for w in rebuilt.weights] == [w.path for w in model.weights]
    rebuilt.set_weights(model.get_weights())
    tools.assert_close(tools.run(rebuilt, images), tools.run(model, images))


def test_a_config_shares_nothing_with_the_model(tools):
    record = {"classes": ["a", "b"]}
    model = tools.make("ViT", record=record)
    record["classes"].append("c")
    model.get_config()["record"]["classes"].append("d")
    model.with_attention("cls").record["classes"].append("e")
    assert model.get_config()["record"] == {"classes": ["a", "b"]}
    assert type(model.get_config()["record"]) is dict
    assert type(model.get_config()["record"]["classes"]) is list


@pytest.mark.backend
@every_family
def test_a_saved_model_comes_back_bit_for_bit(tools, models, images, tmp_path, family):
    model = models[family].with_attention("cls", blocks=[-1])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert tools.same_weights(loaded, model)
    tools.assert_close(tools.run(loaded, images), tools.run(model, images))


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(OSError(28, "No space left on device"), OutputError), (_Interrupted(), _Interrupted)],
)
def test_a_save_that_fails_leaves_the_old_file_untouched(
    tools, models, tmp_path, monkeypatch, failure, raised
):
    path = tmp_path / "model.keras"
    models["ViT"].save(path)
    before = path.read_bytes()

    def write_half(self, filepath, **_):
        filepath.write_bytes(before[: len(before) // 2])
        raise failure

    monkeypatch.setattr(keras.Model, "save", write_half)
    with pytest.raises(raised):
        tools.make("ViT", seed=9).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_an_existing_file_is_replaced_or_kept_as_asked(tools, models, tmp_path):
    path = tmp_path / "model.keras"
    models["ViT"].save(path)
    other = tools.make("ViT", seed=9)
    with pytest.raises(OutputError, match="exists"):
        other.save(path, overwrite=False)
    assert tools.same_weights(keras.saving.load_model(path), models["ViT"])
    other.save(str(path))
    assert tools.same_weights(keras.saving.load_model(path), other)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.backend
@pytest.mark.parametrize("family", ["ViT", "CaiT"])
def test_quantization_to_8_bits_keeps_the_predictions_and_can_be_saved(
    tools, tmp_path, monkeypatch, family
):
    # Keras collects garbage once a layer, which takes seconds beside the other test's objects.
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
    model, images = tools.make(family), tools.random_images(8)
    exact = _logits(tools, model, images)
    with pytest.warns(UserWarning, match="does not have a `quantize` method|not implemented"):
        model.quantize("int8")
    assert model.blocks[0].attention.qkv.kernel.dtype == "int8"
    quantized = _logits(tools, model, images)
    assert np.abs(quantized - exact).max() < 0.05 * np.abs(exact).max()
    sure = np.diff(np.sort(exact, axis=1)[:, -2:], axis=1)[:, 0] > 0.1 * np.abs(exact).max()
    assert sure.sum() >= 3
    assert (quantized.argmax(axis=1) == exact.argmax(axis=1))[sure].all()
    for generation in range(2):
        path = tmp_path / f"{generation}.keras"
        model.save(path)
        model = keras.saving.load_model(path)
        assert model.blocks[0].attention.qkv.kernel.dtype == "int8"
        tools.assert_close(_logits(tools, model, images), quantized)
