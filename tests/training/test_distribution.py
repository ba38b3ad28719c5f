"""Eight simulated devices, in one process or in two, do what one device does."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import families
import keras
import numpy as np
import pytest
from breadth import spread

from kerasvit.errors import UsageError
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.training import distribution

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX distributes")
SCRIPT = pathlib.Path(__file__).with_name("many_devices.py")
TIMEOUT = 500
# Their data parallelism, and grouped queries, by hand: `many_devices.py OUTPUT data:xcit ...`.
NEWER = ("xcit", "rotary")


def _start(output, devices, runs, **environment):
    """Start a process of its own: JAX fixes the number of devices when it starts."""
    # Compiled without optimising, and added to what the run of the tests has.
    flags = os.environ.get("XLA_FLAGS", "--xla_backend_optimization_level=0")
    flags += f" --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, SCRIPT, output, *runs],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(*processes):
    try:
        printed = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(printed)


@pytest.fixture(scope="module")
def eight(tmp_path_factory, request):
    """What one device and eight devices of one process have trained."""
    path = tmp_path_factory.mktemp("eight") / "runs.npz"
    runs = [f"{kind}:{family}" for family in ("vit", "cait") for kind in ("one", "data", "model")]
    newer = NEWER if request.config.getoption("broad") else NEWER[:1]
    runs += [f"{kind}:{family}" for family in newer for kind in ("one", "model")]
    _finish(_start(path, 8, runs))
    with np.load(path) as stored:
        return dict(stored)


def _assert_same(runs, run, expected, tolerance=1e-4):
    family = run.split(":")[1]
    names = [name for name in expected if name.startswith(f"one:{family}/")]
    compared = 0
    for name in names:
        other = name.replace(f"one:{family}", run)
        if name.endswith("split"):
            continue
        np.testing.assert_allclose(
            runs[other], expected[name], rtol=0, atol=tolerance, err_msg=other
        )
        compared += 1
    assert compared > 10
    losses = expected[f"one:{family}/losses"]
    assert len(losses) == 20
    assert np.ptp(losses) > 0.01


@pytest.mark.backend
@on_jax
@pytest.mark.parametrize("family", ["vit", "cait"])
@pytest.mark.parametrize("kind", ["data", "model"])
def test_eight_devices_train_as_one_does(eight, kind, family):
    _assert_same(eight, f"{kind}:{family}", eight)


@pytest.mark.backend
@on_jax
@pytest.mark.parametrize("family", spread(NEWER, NEWER[:1]))
def test_devices_that_share_a_newer_model_train_as_one_does(eight, family):
    # XLA's own depthwise convolution would double a gradient of XCiT that moves little.
    _assert_same(eight, f"model:{family}", eight, tolerance=1e-5)
    split = " ".join(eight[f"model:{family}/split"])
    assert all(f"{name}/kernel" in split for name in ("qkv", "projection", "dense_1", "dense_2"))


@pytest.mark.backend
@on_jax
@pytest.mark.parametrize("family", ["vit", "cait"])
def test_the_layout_splits_the_matrices_of_every_block_and_nothing_else(eight, family):
    assert not eight[f"data:{family}/split"].size
    split = set(eight[f"model:{family}/split"])
    assert any("qkv/kernel" in path for path in split)
    assert any("dense_2/kernel" in path for path in split)
    assert all("_block_" in path for path in split)
    assert ("ca_ffn_block_00/attention/key/kernel" in " ".join(split)) == (family == "cait")


@pytest.mark.backend
@on_jax
def test_two_processes_of_four_devices_train_as_one_device_does(eight, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = [
        _start(
            tmp_path / "runs.npz",
            4,
            ["data:cait"],
            KERAS_DISTRIBUTION_JOB_ADDRESSES=f"localhost:{port}",
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(number),
        )
        for number in range(2)
    ]
    _finish(*processes)
    with np.load(tmp_path / "runs.npz") as stored:
        _assert_same(dict(stored), "data:cait", eight)


@pytest.mark.parametrize(
    "model",
    [
        lambda sizes: VisionTransformer(**sizes, mlp_type="gated", block_type="branched"),
        lambda sizes: VisionTransformer(**sizes, pooling="attention", use_class_token=False),
        lambda sizes: CaiT(**sizes, num_class_layers=1),
        *(lambda sizes, kind=kind: families.make(kind) for kind in families.KINDS),
    ],
)
def test_every_weight_has_at_most_one_place_and_every_large_one_of_a_block_has_one(model):
    sizes = {"image_shape": (8, 8, 3), "patch_size": 4, "num_classes": 5}
    sizes |= {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "mlp_dim": 16}
    for weight in model(sizes).weights:
        axes = [
            a for pattern, a in distribution.LAYOUT.items() if re.fullmatch(pattern, weight.path)
        ]
        in_block = re.search(r"_block_\d+/", weight.path) and "mixing" not in weight.path
        # Convolutions of a channel each are small.
        large = in_block and weight.path.endswith("/kernel") and "convolution" not in weight.path
        assert len(axes) == 1 if large else len(axes) <= 1, weight.path
        assert all(len(a) == len(weight.shape) for a in axes), weight.path


@pytest.mark.backend
def test_without_a_distribution_nothing_changes():
    with distribution.distributed(None) as found:
        assert found is None
        assert distribution.data_shard(found) == (0, 1)
        assert distribution.is_first_host()
        distribution.check_batch(found, 7)


@pytest.mark.backend
@on_jax
def test_what_cannot_be_split_is_named():
    for arguments, words in (
        (("sideways",), "'sideways'"),
        (("model", 3), "3 a model"),
        (("model", 0), "0 a model"),
    ):
        with pytest.raises(UsageError, match=words):
            distribution.make_distribution(*arguments)
    # A mesh needs no devices to tell what it would not split.
    mesh = keras.distribution.DeviceMesh((1, 5), ("batch", "model"), ["cpu:0"] * 5)
    split = distribution._SplitModel(layout_map=distribution.layout_map(mesh))
    block = CaiT(num_classes=0, hidden_dim=8, num_heads=2, mlp_dim=16, num_layers=1).blocks[0]
    with pytest.raises(UsageError, match=r"5 devices for .*qkv/kernel of shape \(8, 24\)"):
        split.get_variable_layout(block.attention.qkv.kernel)
    assert split.get_variable_layout(block.attention_norm.gamma).axes == (None,)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX distributes")
def test_another_backend_is_told_where_to_go():
    with (
        pytest.raises(UsageError, match=r"KERAS_BACKEND=jax.*docs/how_to/distribution\.md"),
        distribution.distributed("data"),
    ):
        pass
