"""The way back to Hugging Face: transformers loads each folder strictly and computes the same."""

import json

import numpy as np
import pytest

import kerasvit
from kerasvit.cli.main import main
from kerasvit.conversion import convert, export_weights
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.names.export.config import processor_of
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.errors import OutputError, UsageError
from kerasvit.models.cait.model import CaiT
from kerasvit.models.vit.model import VisionTransformer

SIZES = {
    "image_shape": (16, 24, 3),
    "patch_size": 4,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 24,
    "num_classes": 4,
}
DINOV2 = {
    **SIZES,
    "image_shape": (16, 16, 3),
    "layer_scale_init_value": 0.5,
    "head_patch_mean": True,
}
PREPROCESSING = {
    "image_size": [16, 16],
    "mean": [0.1, 0.2, 0.3],
    "std": [0.5, 0.6, 0.7],
    "interpolation": "bilinear",
    "crop_fraction": 0.9,
}
RECORD = {"class_names": ["cat", "dog", "hen", "cow"], "preprocessing": PREPROCESSING}
DINOV3 = {
    **SIZES,
    "hidden_dim": 24,  # eight of a head: two periods
    "num_classes": 0,
    "layer_scale_init_value": 0.5,
    "layer_norm_epsilon": 1e-5,
    "rope_type": "dinov3",
    "position_embedding": "none",
    "num_registers": 2,
    "use_key_bias": False,
}
GATED = {"mlp_dim": 20, "mlp_type": "gated", "activation": "silu"}
BEIT = {
    **SIZES,
    "image_shape": (16, 16, 3),
    "pooling": "average",
    "layer_scale_init_value": 0.5,
    "use_relative_position_bias": True,
    "position_embedding": "none",
    "use_key_bias": False,
}
MODELS = {
    "vit": SIZES,
    "vit with other facts": {
        **SIZES,
        "layer_norm_epsilon": 1e-12,
        "activation": "relu",
        "num_heads": 6,
        "use_qkv_bias": False,
        "image_shape": (16, 16, 5),
    },
    "vit without a head": {**SIZES, "num_classes": 0},
    "deit with teacher": {**SIZES, "use_distillation_token": True},
    "deit with one classifier": {**SIZES, "num_registers": 1},
    "dinov2": DINOV2,
    "dinov2 without a head": {**DINOV2, "num_classes": 0, "head_patch_mean": False},
    "dinov2 with a gated MLP": {**DINOV2, "mlp_dim": 16, "mlp_type": "gated", "activation": "silu"},
    "dinov2 with registers": {**DINOV2, "num_registers": 3, "position_embedding": "patches"},
    "registers without a head": {
        **DINOV2,
        "num_registers": 2,
        "position_embedding": "patches",
        "num_classes": 0,
        "head_patch_mean": False,
    },
    "dinov3": DINOV3,
    "dinov3 with a gated MLP": {**DINOV3, **GATED, "num_registers": 4},
    "dinov3 without biases": {**DINOV3, **GATED, "use_qkv_bias": False, "use_key_bias": True},
    "dinov3 of another temperature": {**DINOV3, "rope_temperature": 50.0},
    "beit": BEIT,
    "beit without a head": {**BEIT, "num_classes": 0},
    "beit that reads its class token": {**BEIT, "pooling": "class"},
    "beit with positions": {**BEIT, "position_embedding": "all"},
}


def randomised(model_type=VisionTransformer, **arguments):
    model = model_type(**arguments)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        is_gain = weight.path.endswith(("gamma", "scale"))
        noise = generator.normal(size=weight.shape).astype("float32")
        weight.assign(0.8 + 0.3 * noise if is_gain else 0.3 * noise)
    return model


def loaded(folder):
    """Return transformers' model of a folder, which must lack nothing and use everything."""
    transformers = pytest.importorskip("transformers")
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    options = {"add_pooling_layer": False} if architecture in ("ViTModel", "DeiTModel") else {}
    module, report = getattr(transformers, architecture).from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager", **options
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return module.eval()


@pytest.fixture(scope="module", autouse=True)
def torchvision(timm):
    """Make torchvision importable beside a PyTorch that it was not built for."""


@pytest.mark.parametrize("name", MODELS)
def test_transformers_loads_it_and_computes_the_same(tmp_path, name):
    import torch

    model = randomised(**MODELS[name], record=RECORD)
    export_weights(model, tmp_path / "folder", "huggingface")
    module = loaded(tmp_path / "folder")
    height, width, channels = model.image_shape
    images = np.random.default_rng(1).normal(size=(2, height, width, channels)).astype("float32")
    with torch.no_grad():
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        outputs = module(pixels, output_attentions=True)
    logits, scores, _ = model(images)
    if model.num_classes:
        expected = outputs.logits.numpy()
    elif model.pooling == "average":
        expected = outputs.pooler_output.numpy()
    else:
        expected = outputs.last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(_array(logits), expected, atol=1e-5 * np.abs(expected).max())
    for score, attention in zip(scores.values(), outputs.attentions, strict=True):
        np.testing.assert_allclose(_array(score), attention.numpy(), atol=1e-5)


def _array(tensor):
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


@pytest.mark.parametrize("name", MODELS)
def test_converted_again_every_weight_is_the_same(tmp_path, name):
    from kerasvit.conversion.architecture.detected import detect
    from kerasvit.conversion.names.rules import assign
    from kerasvit.conversion.names.unwrapping import unwrap

    model = randomised(**MODELS[name])
    export_weights(model, tmp_path / "folder", "huggingface")
    checkpoint = in_timm_names(unwrap(open_checkpoint(tmp_path / "folder")))
    other = VisionTransformer(**MODELS[name])
    assign(other, checkpoint, detect(checkpoint).layout)
    for weight, again in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(_array(weight.value), _array(again.value))


def test_the_config_holds_names_of_classes_and_the_processor_the_preprocessing(tmp_path):
    export_weights(randomised(**SIZES, record=RECORD), tmp_path / "folder", "huggingface")
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["id2label"] == {"0": "cat", "1": "dog", "2": "hen", "3": "cow"}
    processor = json.loads((tmp_path / "folder" / "preprocessor_config.json").read_text())
    assert processor["image_mean"] == [0.1, 0.2, 0.3]
    assert processor["size"] == {"shortest_edge": 17}
    assert processor["crop_size"] == {"height": 16, "width": 16}
    assert processor["resample"] == 2
    assert processor_of({**PREPROCESSING, "crop_mode": "border"}) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pooling": "average"}, "pooling='class'"),
        ({"use_qk_norm": True}, "use_qk_norm=False"),
        ({"use_pre_norm": True}, "use_pre_norm=False"),
        ({"rope_type": "axial"}, "rope_type='dinov3'"),
        ({**DINOV3, "num_classes": 2}, "DINOv3ViTModel has num_classes=0"),
        ({**BEIT, "use_key_bias": True}, "use_key_bias=False"),
        ({**BEIT, "norm_after_pooling": False}, "its norm there"),
        ({**BEIT, "image_shape": (16, 24, 3)}, "4x6"),
        ({**BEIT, "layer_scale_init_value": None}, "has LayerScale"),
        ({"use_mlp_sub_norm": True}, "use_mlp_sub_norm=False"),
        ({"num_heads": 4, "num_key_value_heads": 2}, "num_key_value_heads=None"),
        ({"position_embedding": "patches"}, "position_embedding='all'"),
        ({"num_registers": 2}, "num_registers"),
        ({"layer_scale_init_value": 0.1}, "mean patch token"),
        ({"layer_scale_init_value": 0.1, "num_classes": 0}, "4x6"),
        (
            {
                "layer_scale_init_value": 0.1,
                "mlp_dim": 20,
                "num_classes": 0,
                "image_shape": (16, 16, 3),
            },
            "20 wide",
        ),
    ],
)
def test_what_transformers_lacks_is_refused_in_one_line(tmp_path, changes, words):
    model = VisionTransformer(**{**SIZES, **changes})
    with pytest.raises(UsageError, match=words) as caught:
        export_weights(model, tmp_path / "folder", "huggingface")
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_cait_is_refused(tmp_path):
    sizes = {key: value for key, value in SIZES.items() if key != "num_registers"}
    with pytest.raises(UsageError, match="family='vit'"):
        export_weights(CaiT(**sizes, num_class_layers=1), tmp_path / "folder", "huggingface")


def test_a_folder_is_complete_or_as_it_was(tmp_path, monkeypatch):
    folder, model = tmp_path / "folder", randomised(**SIZES)
    export_weights(model, folder, "huggingface")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match="exists"):
        export_weights(model, folder, "huggingface")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("kerasvit.conversion.huggingface_folder.write_safetensors", fail)
        for place in (folder, tmp_path / "new"):
            with pytest.raises(OutputError, match="No space left"):
                export_weights(model, place, "huggingface", overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    export_weights(randomised(**SIZES, record=RECORD), folder, "huggingface", overwrite=True)
    assert (folder / "preprocessor_config.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_with_other_files_and_a_file_are_not_touched(tmp_path):
    model = randomised(**SIZES)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name, words in (("notes", "thesis"), ("file", "a file"), ("missing/folder", "exist")):
        with pytest.raises(OutputError, match=words):
            export_weights(model, tmp_path / name, "huggingface", overwrite=True)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "precious"


def test_the_command(tmp_path, capsys):
    source, folder = tmp_path / "model.keras", tmp_path / "folder"
    randomised(**SIZES).save(source)
    arguments = ["export-weights", str(source), "-o", str(folder), "--layout", "huggingface"]
    assert main(arguments) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert "no preprocessing" in capsys.readouterr().err
    assert main(arguments) == 5


PROBLEMS = {
    "one logit": (1, {"class_names": ["cat"]}, "multi_label_classification"),
    "no and yes": (1, {"class_names": ["dog", "cat"]}, "multi_label_classification"),
    "many labels": (4, {**RECORD, "problem_type": "multi_label_classification"}, None),
    "a value": (1, {"problem_type": "regression"}, None),
    "classes": (4, {"problem_type": "single_label_classification"}, None),
    "nothing said": (4, {}, None),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_the_outputs_mean_goes_there_and_back(tmp_path, name):
    """transformers' own loss reads the config as we do; of one logit it would take a value."""
    num_classes, record, written = PROBLEMS[name]
    model = randomised(**{**SIZES, "num_classes": num_classes}, record=record)
    folder = tmp_path / "folder"
    export_weights(model, folder, "huggingface")
    module = loaded(folder)
    assert module.config.num_labels == num_classes
    assert module.config.problem_type == (written or record.get("problem_type"))
    converted = convert(folder, verify=False, report=lambda line: None).model
    again, before = converted.problem, model.problem
    assert (again.is_binary, again.has_many_labels) == (before.is_binary, before.has_many_labels)
    assert again.is_regression == before.is_regression
    assert again.name(num_classes - 1) in (before.name(num_classes - 1), "value 0", "not cat")
    if written is None:
        assert converted.record.get("problem_type") == record.get("problem_type")


def test_nothing_said_of_one_logit_is_said_and_the_user_may_say_it(tmp_path, capsys):
    model = randomised(**{**SIZES, "num_classes": 1})
    export_weights(model, tmp_path / "folder", "huggingface")
    path = tmp_path / "folder" / "config.json"
    config = json.loads(path.read_text())
    del config["problem_type"]
    path.write_text(json.dumps(config))
    output, lines = tmp_path / "m.keras", []
    assert convert(path.parent, verify=False, report=lines.append).model.problem.is_binary
    assert any("one logit" in line and "--problem-type" in line for line in lines)
    options = ["--no-verify", "--problem-type", "regression", "-o", str(output)]
    assert main(["convert", str(path.parent), *options]) == 0
    assert "one logit" not in capsys.readouterr().err
    assert kerasvit.from_pretrained(output).problem.is_regression
    with pytest.raises(UsageError, match="problem_type must be one of"):
        convert(path.parent, verify=False, problem_type="sigmoid")
