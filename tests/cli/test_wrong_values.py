"""Wrong values of options: exit 2 and one line, never "a bug" (70).

A value that no file decides about is the user's: the class is `UsageError` wherever it is found.
"""

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
