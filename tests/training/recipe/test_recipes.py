import dataclasses

import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.training.recipe.reading import list_recipes, parse_recipe, read_recipe

MODEL = {"model": {"name": "vit_nano_patch4_32"}}


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_of_the_package_say_where_they_come_from(name):
    about = read_recipe(name).about
    assert about.title
    assert about.source
    assert about.hardware
    if name.startswith("imagenet"):
        assert about.source.startswith("https://arxiv.org/abs/")
        assert "%" in about.expected


def test_recipe_survives_the_way_through_plain_tables():
    recipe = read_recipe("imagenet_deit_small")
    assert parse_recipe(recipe.to_dict()) == recipe


def test_file_and_packaged_name_are_the_same(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nname = "vit_nano_patch4_32"\n[schedule]\nepochs = 4\n')
    assert read_recipe(path).schedule.epochs == 4
    with pytest.raises(InputError, match=r"Did you mean 'cifar10_cait_nano'\?"):
        read_recipe("cifar_cait_nano")
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")
    path.write_text("[model\n")
    with pytest.raises(InputError, match=r"mine\.toml' is no TOML"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("optimizer.learning_rate=1e-4", "learning_rate", 1e-4),
        ("optimizer.name=lamb", "name", "lamb"),
        ('optimizer.name="adamw"', "name", "adamw"),
    ],
)
def test_changes_are_values_as_in_toml(change, field, value):
    changed = read_recipe("cifar10_cait_nano", [change])
    assert getattr(changed.optimizer, field) == value
    assert dataclasses.replace(changed, optimizer=None) == dataclasses.replace(
        read_recipe("cifar10_cait_nano"), optimizer=None
    )


def test_change_reaches_into_a_table_of_arguments():
    arguments = read_recipe("imagenet_deit_small", ["model.arguments.num_layers=2"]).model.arguments
    assert arguments == {"drop_path_rate": 0.1, "num_layers": 2}


@pytest.mark.parametrize("change", ["optimizer", "optimizer.x", "=1", "optimizer.=1"])
def test_change_of_another_form_is_refused(change):
    with pytest.raises(UsageError, match=r"TABLE\.KEY=VALUE|has no"):
        read_recipe("cifar10_cait_nano", [change])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"optimiser": {}}, "Did you mean 'optimizer'"),
        ({"schedule": {"epoch": 3}}, "Did you mean 'epochs'"),
        ({"augmentation": {"mixupp": 0.8}}, "Did you mean 'mixup'"),
        ({"schedule": {"epochs": 0}}, "whole number from 1 to 1000000. Received: 0"),
        ({"schedule": {"epochs": True}}, "whole number from 1 to 1000000. Received: True"),
        ({"schedule": {"epochs": 3.0}}, "whole number from 1"),
        ({"run": {"precision": "float8"}}, "one of 'float32', 'mixed_bfloat16'"),
        ({"augmentation": {"erasing": 1.5}}, r"number in \[0, 1\]. Received: 1.5"),
        ({"augmentation": {"erasing": float("nan")}}, r"number in \[0, 1\]"),
        ({"preprocessing": {"image_size": [32]}}, "list of 2 whole numbers"),
        ({"schedule": {"stages": [[16, 2], [32]], "epochs": 3}}, "list of .image size, epochs"),
        ({"schedule": {"stages": [[16, 2], [32, 2]], "epochs": 3}}, "add up to schedule.epochs"),
        ({"schedule": {"epochs": 3, "warmup_epochs": 3}}, "less than schedule.epochs"),
        ({"distillation": {"kind": "hard"}}, "teacher must be"),
        ({"data": []}, "must be a table"),
        ({"model": {}}, r"model\.name must say"),
        ({"model": {**MODEL["model"], "arguments": {"attention": "full"}}}, "makes no scores"),
        ({"model": {**MODEL["model"], "arguments": {"dtype": "int8"}}}, "say run.precision"),
        ({"model": {**MODEL["model"], "arguments": {"name": 3}}}, "say model.name"),
        (
            {"distillation": {"kind": "features", "teacher": "x"}, "augmentation": {"mixup": 0.8}},
            "features follow",
        ),
        (
            {
                "distillation": {
                    "kind": "features",
                    "teacher": "convolutional",
                    "cache": "tokens.npy",
                    "logits_share": 0.5,
                }
            },
            r"distillation\.logits must name a file",
        ),
    ],
)
def test_what_is_wrong_is_named(tables, message):
    with pytest.raises(InputError, match=message):
        parse_recipe({**MODEL, **tables}, "'mine.toml'")
