"""Wrong values of options: exit 2 and one line, never "a bug" (70).

A value that no file decides about is the user's: the class is `UsageError` wherever it is found.
"""

import shutil

import pytest


@pytest.fixture(scope="module")
def nano_weights(tmp_path_factory):
    """The shipped model's weights as timm names them."""
    import kerasvit
    from kerasvit.conversion.export import export_weights

    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    return export_weights(kerasvit.from_pretrained("cait_nano_patch4_32.cifar10"), path)


@pytest.mark.parametrize("size", [(33, 33), (32, 35)])
def test_convert_refuses_sides_that_patches_do_not_divide(
    run, one_line, nano_weights, tmp_path, size
):
    options = ("-m", "cait_nano_patch4_32", "--image-size", *size, "--no-verify")
    result = run("convert", nano_weights, "-o", tmp_path / "out.keras", *options)
    assert result.code == 2
    one_line(result.err.splitlines()[-1], "multiples of the patch size", f"{size[0]}x{size[1]}")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def recipe(tmp_path, photograph):
    """A recipe of a tiny model, and a folder of pictures for it."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(2):
                shutil.copy(photograph, tmp_path / "data" / split / name / f"{number}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


RECIPE = """
[model]
name = "cait_nano_patch4_32"
arguments = { hidden_dim = 16, num_layers = 1, num_class_layers = 1, num_heads = 2, mlp_dim = 16 }
[preprocessing]
image_size = [8, 8]
[schedule]
batch_size = 2
[run]
tensorboard = false
max_steps = 1
"""

# A table of the recipe, a key and values that it cannot have.
WRONG_KEYS = {
    "preprocessing.image_size": (
        "0",
        "[1000000, 1000000]",
        "[0, 8]",
        "[33, 33]",
        "[8.5, 8]",
        "abc",
        "true",
    ),
    "preprocessing.crop_fraction": ("0", "-1", "nan", "inf", "true", "abc"),
    "preprocessing.std": ("[0, 1, 1]", "[1, 1]", "123"),
    "optimizer.learning_rate": ("-1", "nan", "inf", "abc", "[]"),
    "schedule.epochs": ("0", "-1", "0.5", "true", "abc"),
    "run.jit_compile": ("maybe", "1", "nan"),
    "run.precision": ("float8", "0"),
    "model.arguments.num_heads": ("0", "5", "-1", "abc", "[]"),
    "model.arguments.attention": ("full", "0"),
    "model.arguments.dtype": ("float8", "-1"),
    "model.arguments.name": ("0", "[]"),
    "model.arguments.nothing": ("1",),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG_KEYS.items() for value in values]
)
def test_train_refuses_what_a_recipe_cannot_say(run, one_line, recipe, tmp_path, key, value):
    options = ("--data", tmp_path / "data", "-o", tmp_path / "run", "--set", f"{key}={value}")
    result = run("train", recipe, *options)
    assert result.code == 2, result.err
    one_line(result.err.splitlines()[-1], "Received")
    assert not (tmp_path / "run" / "state.npz").exists()


FINETUNE = {
    "--epochs": ("0", "-1", "abc", "0.5", ""),
    "--batch-size": ("0", "-1", "nan"),
    "--learning-rate": ("0", "-1", "abc", "nan"),
    "--weight-decay": ("-1", "nan"),
    "--label-smoothing": ("-1", "1", "nan"),
    "--smallest-crop": ("0", "2", "nan"),
    "--layer-decay": ("0", "2", "nan"),
    "--hold-out": ("-1", "2", "nan"),
    "--lora": ("0", "-1", "abc"),
    "--seed": ("-1", "abc"),
    "--image-size": ("0", "-1", "33", "1000000000"),
    "-m": ("nothing", ""),
}


@pytest.mark.parametrize("option", FINETUNE)
def test_finetune_refuses_values_out_of_range(run, recipe, tmp_path, option):
    data = ("--data", tmp_path / "data", "--split", "train", "-o", tmp_path / "out.keras")
    for value in FINETUNE[option]:
        result = run("finetune", *data, f"{option}={value}" if option[1] == "-" else option + value)
        assert result.code == 2, (option, value, result.err)
        assert not (tmp_path / "out.keras").exists()


EVALUATE = {
    "--batch-size": ("0", "-1", "nan"),
    "--image-size": ("0", "-1", "33", "1000000000"),
    "--limit": ("-1", "abc"),
    "-k": ("0", "-1", "abc"),
    "--temperature": ("0", "-1", "nan", "inf", "1e400", "abc"),
    "-m": ("nothing", ""),
}


@pytest.fixture
def neighbours(recipe, tmp_path):
    """Arguments of `kerasvit evaluate` that judge features by their neighbours."""
    place = str(tmp_path / "data")
    data = ("--data", place, "--split", "test", "--neighbours", place)
    return ("evaluate", *data, "--neighbours-split", "train", "-o", tmp_path / "out.json")


@pytest.mark.parametrize("option", EVALUATE)
def test_evaluate_refuses_values_out_of_range(run, neighbours, tmp_path, option):
    for value in EVALUATE[option]:
        result = run(*neighbours, f"{option}={value}" if option[1] == "-" else option + value)
        assert result.code == 2, (option, value, result.err)
        assert not (tmp_path / "out.json").exists()


def test_a_batch_is_no_larger_than_the_folder(run, neighbours):
    """A thousand million pictures at once took the memory for as many."""
    result = run(*neighbours, "--batch-size", 10**9)
    assert result.code == 0, result.err
