"""Methods on models beyond the plain ViT: a map, or one line that says why there is none."""

import numpy as np
import pytest
from keras import ops

from kerasvit import VisionTransformer
from kerasvit.errors import UsageError
from kerasvit.saliency import METHODS, explain

SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 24,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 20,
}
VARIATIONS = {
    "attention pooling": {"pooling": "attention", "use_class_token": False, "num_registers": 1},
    "average pooling": {"pooling": "average", "use_class_token": False, "num_registers": 1},
    "branched": {"block_type": "branched"},
    "differential": {"attention_type": "differential"},
    "parallel": {"block_type": "parallel"},
    "linear head": {"head_blocks": 2},
}
# Those that draw random pictures take long, and see nothing of a model's inside.
CHOSEN = [name for name in METHODS if name not in ("rise", "smoothgrad", "occlusion")]


# What has no meaning there; a class attention's rollout needs a CaiT anyway.
UNFIT = {
    "attention pooling": {"rollout", "relevance", "legrad", "headwise"},
    "branched": {"gradcam", "tokencut", "lost"},
    "differential": {"rollout"},
    "linear head": {"legrad"},
}


@pytest.fixture(scope="module")
def models():
    """Return the models by name, with random weights."""
    made = {name: VisionTransformer(**SIZES, **VARIATIONS[name]) for name in VARIATIONS}
    rng = np.random.default_rng(1)
    for weight in (weight for model in made.values() for weight in model.weights):
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return made


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).normal(size=(2, 12, 20, 3)).astype(np.float32)


@pytest.mark.parametrize("name", VARIATIONS)
@pytest.mark.parametrize("method", CHOSEN)
def test_a_method_gives_a_map_or_says_why_not(models, pixels, name, method):
    target = 1 if "target" in METHODS[method].takes else None
    if method in UNFIT.get(name, ()) or method == "class_attention_rollout":
        with pytest.raises(UsageError, match=r"^.*Received: .*Choose .*$") as error:
            explain(models[name], pixels, method=method, target=target)
        assert "\n" not in str(error.value)
        return
    result = explain(models[name], pixels, method=method, target=target)
    assert result.values.shape == (2, 3, 5)
    assert np.isfinite(result.values).all()


def test_attention_pooling_shows_what_its_query_reads(pixels):
    made = VisionTransformer(**SIZES, **VARIATIONS["attention pooling"])
    result = explain(made, pixels, heads="all")
    scores = made(pixels)[2]["ca_pooling_block_00_att"]
    assert result.stage == "ca"
    np.testing.assert_allclose(
        result.values.reshape(2, 3, 15), ops.convert_to_numpy(scores)[:, :, 0], 1e-5
    )
    with pytest.raises(UsageError, match="a learned query alone asks"):
        explain(made, pixels, query=(0, 0))
    assert explain(made, pixels, query=(2, 4), stage="sa").stage == "sa"


def test_without_a_class_token_all_patches_ask(pixels):
    made = VisionTransformer(**SIZES, **VARIATIONS["average pooling"])
    plain, patches = (explain(made, pixels, query=query).values for query in ("class", "patches"))
    np.testing.assert_array_equal(plain, patches)
