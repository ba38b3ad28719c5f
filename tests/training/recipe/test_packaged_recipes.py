import numpy as np
import pytest

from kerasvit.models.opening.without_values import without_values
from kerasvit.training.recipe.reading import list_recipes, read_recipe
from kerasvit.training.run.building import build_model, compile_model
from kerasvit.training.run.train import train

SMALL = [
    "data.test=test",
    "data.workers=0",
    "data.dataset=folder",
    "data.validation_limit=0",
    "model.arguments.hidden_dim=24",
    "model.arguments.num_layers=2",
    "model.arguments.num_heads=2",
    "model.arguments.mlp_dim=24",
    "preprocessing.image_size=[32, 32]",
    "schedule.batch_size=6",
    "run.max_steps=2",
    "run.test_batch_size=6",
    "run.tensorboard=false",
    "teacher.widths=[2, 2, 2, 2]",
]


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_takes_real_steps_at_reduced_size(name, coloured, tmp_path):
    recipe = read_recipe(name, [*SMALL, f"data.path={coloured}"])
    if recipe.distillation.teacher.endswith(".cifar10"):
        # A teacher of ten classes has no say in the labels of three.
        recipe = read_recipe(name, [*SMALL, f"data.path={coloured}", "distillation.logits_share=0"])
    result = train(recipe, tmp_path / "run")
    assert result.step == 2
    with np.load(tmp_path / "run" / "state.npz") as state:
        trained = {name: state[name] for name in state.files if name.startswith("model.")}
    assert all(np.isfinite(value).all() for value in trained.values())
    fresh = build_model(recipe, 3)
    compile_model(fresh, recipe, 4)
    # Features are learned through a map that is thrown away: a kernel and a bias.
    features = 2 if recipe.distillation.kind == "features" else 0
    assert len(trained) == len(fresh.variables) + features


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_builds_at_full_size(name):
    recipe = read_recipe(name)
    num_classes = 1000 if name.startswith("imagenet") else 10
    model = without_values(lambda: build_model(recipe, num_classes))
    assert model.token_layout(recipe.preprocessing.image_size).num_tokens >= 64
    assert model.attention == "none"
    assert model.dtype_policy.name == recipe.run.precision
