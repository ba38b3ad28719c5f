"""Google's `.npz` files: the tensors made of them are those that timm makes, bit for bit."""

import numpy as np
import pytest

from kerasvit.conversion import convert
from kerasvit.conversion.files.checkpoint import open_checkpoint
from kerasvit.conversion.files.tensors import as_float32
from kerasvit.conversion.names.flexible import fit
from kerasvit.conversion.names.foreign import in_timm_names
from kerasvit.errors import InputError

WIDTH, HEADS, MLP, BLOCKS, CLASSES = 12, 3, 20, 3, 5
PATCH, GRID = (4, 4), (3, 3)
QKV = ("query", "key", "value")


def _dense(size_in, size_out):
    return {"kernel": (size_in, size_out), "bias": (size_out,)}


def _norm():
    return {"scale": (WIDTH,), "bias": (WIDTH,)}


def _attention():
    heads = {"kernel": (WIDTH, HEADS, WIDTH // HEADS), "bias": (HEADS, WIDTH // HEADS)}
    out = {"kernel": (HEADS, WIDTH // HEADS, WIDTH), "bias": (WIDTH,)}
    return {**dict.fromkeys(QKV, heads), "out": out}


def _block(attention, mlp, norm):
    return {
        "LayerNorm_0": _norm(),
        f"MultiHeadDotProductAttention_{attention}": _attention(),
        f"LayerNorm_{norm}": _norm(),
        f"MlpBlock_{mlp}": {"Dense_0": _dense(WIDTH, MLP), "Dense_1": _dense(MLP, WIDTH)},
    }


def _shared():
    return {
        "embedding": {"kernel": (*PATCH, 3, WIDTH), "bias": (WIDTH,)},
        "Transformer/encoder_norm": _norm(),
        "head": _dense(WIDTH, CLASSES),
    }


def _augreg():
    positions = (1, 1 + GRID[0] * GRID[1], WIDTH)
    return {
        **_shared(),
        "cls": (1, 1, WIDTH),
        "Transformer/posembed_input": {"pos_embedding": positions},
        **{f"Transformer/encoderblock_{i}": _block(1, 3, 2) for i in range(BLOCKS)},
    }


def _big_vision():
    return {
        **_shared(),
        "cls": (1, 1, WIDTH),
        "pos_embedding": (1, GRID[0] * GRID[1], WIDTH),
        **{f"Transformer/encoderblock_{i}": _block(0, 0, 1) for i in range(BLOCKS)},
    }


def _siglip():
    pool = {
        "probe": (1, 1, WIDTH),
        "MultiHeadDotProductAttention_0": _attention(),
        "LayerNorm_0": _norm(),
        "MlpBlock_0": {"Dense_0": _dense(WIDTH, MLP), "Dense_1": _dense(MLP, WIDTH)},
    }
    shapes = {**_shared(), "pos_embedding": (1, GRID[0] * GRID[1], WIDTH), "MAPHead_0": pool}
    del shapes["head"]
    stacked = _flat({"Transformer/encoderblock": _block(0, 0, 1)})
    return {**shapes, **{name: (BLOCKS, *shape) for name, shape in stacked.items()}}


def _flat(tree, prefix=""):
    flat = {}
    for name, item in tree.items():
        flat |= _flat(item, f"{prefix}{name}/") if isinstance(item, dict) else {prefix + name: item}
    return flat


def _arrays(shapes, prefix=""):
    random = np.random.default_rng(0)
    names = _flat(shapes, prefix)
    return {name: random.normal(size=shape).astype("float32") for name, shape in names.items()}


def _timm_state(timm, path, **arguments):
    """Return the state dict of timm's model after it loaded the file, as NumPy arrays."""
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=(GRID[0] * PATCH[0], GRID[1] * PATCH[1]),
        patch_size=PATCH,
        embed_dim=WIDTH,
        depth=BLOCKS,
        num_heads=HEADS,
        mlp_ratio=MLP / WIDTH,
        **{"num_classes": CLASSES, **arguments},
    )
    model.load_pretrained(str(path))
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


def _assert_equal(checkpoint, expected):
    assert set(checkpoint.names) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(checkpoint[name], array, err_msg=name)
        assert checkpoint.shape(name) == array.shape


def _save(tmp_path, arrays):
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("prefix", ["", "opt/target/"])
def test_augreg_as_timm_reads_it(timm, tmp_path, prefix):
    path = _save(tmp_path, _arrays(_augreg(), prefix))
    checkpoint = in_timm_names(open_checkpoint(path))
    assert checkpoint.layout == "augreg"
    _assert_equal(checkpoint, _timm_state(timm, path))


def test_big_vision_as_timm_reads_it(timm, tmp_path):
    path = _save(tmp_path, _arrays(_big_vision(), "params/"))
    checkpoint = in_timm_names(open_checkpoint(path))
    assert checkpoint.layout == "big_vision"
    _assert_equal(checkpoint, _timm_state(timm, path, no_embed_class=True))


@pytest.mark.parametrize(("file_patch", "file_grid"), [((8, 8), (2, 2)), ((4, 4), (5, 5))])
def test_flexivit_is_resampled_as_timm_does_it(timm, tmp_path, file_patch, file_grid):
    shapes = _big_vision()
    shapes["embedding"]["kernel"] = (*file_patch, 3, WIDTH)
    shapes["pos_embedding"] = (1, file_grid[0] * file_grid[1], WIDTH)
    path = _save(tmp_path, _arrays(shapes, "params/"))
    checkpoint = in_timm_names(open_checkpoint(path))
    image_shape = (GRID[0] * PATCH[0], GRID[1] * PATCH[1])
    fitted = fit(checkpoint, "flexivit_small", image_shape, {"patch_size": PATCH[0]})
    expected = _timm_state(timm, path, no_embed_class=True)
    assert set(fitted.names) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(fitted[name], array, rtol=1e-6, atol=1e-6, err_msg=name)
    assert any("positions" in note for note in fitted.notes)
    assert fit(checkpoint, "vit_small_patch16_224", image_shape) is checkpoint


def test_a_flexivit_is_converted_at_the_patch_size_asked_for(tmp_path):
    shapes = _big_vision()
    shapes["embedding"]["kernel"] = (8, 8, 3, WIDTH)
    path = _save(tmp_path, _arrays(shapes, "params/"))
    sizes = {"hidden_dim": WIDTH, "num_layers": BLOCKS, "num_heads": HEADS, "mlp_dim": MLP}
    for patch in (4, 6):
        result = convert(
            path, model="flexivit_small", image_shape=(24, 24), patch_size=patch, **sizes
        )
        assert result.model.patch_embedding.patch_size == (patch, patch)
        assert result.model.position.grid == (24 // patch, 24 // patch)
        assert result.model.record["source"]["layout"] == "big_vision"
    with pytest.raises(InputError, match="patch_size is"):
        convert(path, model="vit_small_patch16_224", **sizes)


def test_siglip_as_timm_reads_it(timm, tmp_path):
    text = {"params/txt/head/kernel": np.ones(3), "params/t": np.ones(1), "params/b": np.ones(1)}
    path = _save(tmp_path, {**_arrays(_siglip(), "params/img/"), **text})
    checkpoint = in_timm_names(open_checkpoint(path))
    arguments = {"num_classes": 0, "class_token": False, "global_pool": "map"}
    _assert_equal(checkpoint, _timm_state(timm, path, **arguments))
    assert set(checkpoint.dropped) == set(text)
    assert all("text tower" in reason for reason in checkpoint.dropped.values())


def test_bfloat16_of_jax_is_read_exactly(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    arrays = _arrays(_siglip(), "params/img/")
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
    checkpoint = in_timm_names(open_checkpoint(_save(tmp_path, half)))
    exact = {name: as_float32(array) for name, array in half.items()}
    expected = in_timm_names(open_checkpoint(exact))
    assert len(checkpoint) == 12 * BLOCKS + 18
    for name in checkpoint:
        np.testing.assert_array_equal(checkpoint[name], expected[name])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_block_of_a_stacked_tensor_is_read_alone(tmp_path, save):
    path = tmp_path / "weights.npz"
    arrays = {"stack": np.arange(24.0).reshape(4, 3, 2), "fortran": np.ones((4, 3)).T}
    save(path, **arrays)
    checkpoint = open_checkpoint(path)
    for name, array in arrays.items():
        for index in range(len(array)):
            row = checkpoint.tensors[name].row(index)
            assert row.shape == array.shape[1:]
            np.testing.assert_array_equal(row.load(name), array[index])


def test_a_head_on_a_representation_layer_is_dropped_with_it(tmp_path):
    shapes = {**_augreg(), "pre_logits": _dense(WIDTH, WIDTH)}
    checkpoint = in_timm_names(open_checkpoint(_save(tmp_path, _arrays(shapes))))
    assert "head.weight" not in checkpoint
    assert {"pre_logits/kernel", "head/kernel", "head/bias"} <= set(checkpoint.dropped)


def test_what_is_left_over_keeps_its_name(tmp_path):
    arrays = {**_arrays(_augreg()), "conv_root/kernel": np.ones((7, 7, 3, 4), "float32")}
    del arrays["Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/kernel"]
    checkpoint = in_timm_names(open_checkpoint(_save(tmp_path, arrays)))
    assert "conv_root/kernel" in checkpoint
    assert "blocks.1.attn.qkv.weight" not in checkpoint
    assert "Transformer/encoderblock_1/MultiHeadDotProductAttention_1/query/kernel" in checkpoint
