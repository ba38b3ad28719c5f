"""BEiT's files: Microsoft's own, wrapped as they are published; no square of a grid is guessed."""

import numpy as np
import pytest

from kerasvit.conversion import convert
from kerasvit.conversion.export import tensors_of
from kerasvit.errors import InputError
from kerasvit.models import create_model

SMALL = {"hidden_dim": 24, "num_layers": 2, "num_heads": 3, "mlp_dim": 40}


@pytest.fixture
def state():
    """A state dict in timm's names, of a network for 48x80 pixels."""
    model = create_model("beit_base_patch16_224", image_shape=(48, 80, 3), num_classes=5, **SMALL)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(size=weight.shape).astype("float32"))
    exported = tensors_of(model)
    return {name: np.array(tensor.load(name)) for name, tensor in exported.items()}


def converted(state, **options):
    arguments = {"image_shape": (48, 80, 3), **SMALL, **options}
    return convert(state, model="beit_base_patch16_224", verify=False, **arguments).model


@pytest.mark.parametrize("wrapper", ["model", "module"])
def test_microsofts_files_are_the_same_model(state, wrapper):
    index = {f"blocks.{i}.attn.relative_position_index": np.zeros((16, 16), int) for i in (0, 1)}
    ours, theirs = converted(state), converted({wrapper: {**state, **index}})
    assert len(ours.weights) == len(theirs.weights) > 30
    for one, same in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(same))


def test_the_size_of_the_table_must_be_that_of_the_images(state):
    with pytest.raises(InputError, match=r"grids .*3x5.*a grid of 3x3"):
        converted(state, image_shape=(48, 48, 3))
    with pytest.raises(InputError, match=r"no square.*image_size=\(height, width\)"):
        convert(state, model="beit_base_patch16_224", verify=False, **SMALL)


CONFIG = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "image_size": 48,
    "num_labels": 5,
    "use_relative_position_bias": True,
}
HUGGINGFACES = {
    "classifier": ("BeitForImageClassification", {}),
    "class token": ("BeitForImageClassification", {"use_mean_pooling": False}),
    "backbone": ("BeitModel", {"layer_norm_eps": 1e-5, "hidden_act": "gelu_new"}),
    "positions too": ("BeitModel", {"use_absolute_position_embeddings": True}),
    "no relative biases": (
        "BeitForImageClassification",
        {"use_relative_position_bias": False, "use_absolute_position_embeddings": True},
    ),
    "mask token": ("BeitModel", {"use_mask_token": True}),
    "data2vec": ("Data2VecVisionForImageClassification", {}),
}


def huggingfaces(kind, changes):
    """Return a network of transformers whose every parameter is away from its start."""
    transformers = pytest.importorskip("transformers")
    import torch

    config_type = "Data2VecVisionConfig" if kind.startswith("Data2Vec") else "BeitConfig"
    config = getattr(transformers, config_type)(**{**CONFIG, **changes})
    config._attn_implementation = "eager"  # data2vec's can't be set later
    module = getattr(transformers, kind)(config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        is_gain = name.endswith(("norm.weight", "before.weight", "after.weight"))
        parameter.data = 0.8 + 0.3 * noise if is_gain or "lambda" in name else 0.3 * noise
    return module.eval()


@pytest.mark.parametrize("case", HUGGINGFACES)
def test_transformers_computes_the_same(timm, tmp_path, case):
    """Of a folder as transformers saves it, and of the network in memory."""
    module = huggingfaces(*HUGGINGFACES[case])
    module.save_pretrained(tmp_path)
    for source in (tmp_path, module):
        result = convert(source, verify=True)
        assert type(module).__name__ in result.parity.reference
        assert len(result.parity.scores) == 2
        model = result.model
        pooling = "class" if case == "class token" else "average"
        assert (model.pooling, model.use_key_bias) == (pooling, False)
        has_biases = case != "no relative biases"
        assert model.use_relative_position_bias == has_biases
        assert (model.position_embedding == "all") == ("positions" in case or not has_biases)
        assert model.image_shape == (48, 48, 3)


def test_hugging_faces_network_of_masked_training_is_told(tmp_path):
    module = huggingfaces(
        "BeitForMaskedImageModeling",
        {"use_relative_position_bias": False, "use_shared_relative_position_bias": True},
    )
    module.save_pretrained(tmp_path)
    for source in (tmp_path, module):
        with pytest.raises(InputError, match="masked training, whose blocks share"):
            convert(source, verify=False)


def test_a_rectangle_is_not_compared_with_transformers(timm, tmp_path):
    """It takes the rows of its table for columns: timm's and ours would be another network."""
    module = huggingfaces("BeitForImageClassification", {"image_size": [48, 80]})
    module.save_pretrained(tmp_path)
    result = convert(tmp_path, verify=True)
    assert result.model.image_shape == (48, 80, 3)
    assert "timm" in result.parity.reference
