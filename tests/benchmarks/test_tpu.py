"""Every family compiles for a TPU; figures are where libtpu is installed."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from benchmarks.tpu.costs import Cost, _collectives

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="the programs are JAX's"
)


def test_the_roofline_says_what_holds_a_chip_back():
    by_memory = Cost(operations=197e9, moved=819e7, memory=0, collectives={}, seconds=1)
    assert by_memory.bound == (pytest.approx(0.01), "memory")
    by_products = Cost(operations=197e10, moved=819e6, memory=0, collectives={}, seconds=1)
    assert by_products.bound == (pytest.approx(0.01), "products")


def test_a_message_that_is_started_and_awaited_counts_once():
    program = """
      %s = (f32[8]{0}, f32[8]{0}) all-reduce-start(%x), replica_groups={{0,1}}
      %d = f32[8]{0} all-reduce-done(%s)
      %r = f32[8]{0} all-reduce(%y), to_apply=%add
      %g = f32[16]{0} all-gather(%d), dimensions={0}
      %c = f32[16]{0} fusion(%g), kind=kLoop, calls=%fused_all-gather
    """
    assert _collectives(program) == {"all-reduce": 2, "all-gather": 1}


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu compiles for a TPU that is not there: pip install libtpu",
)
@pytest.mark.parametrize("gradient", [[], ["--gradient"]])
def test_every_family_compiles_for_a_v5e(gradient):
    models = ["vit_tiny_patch16_224", "cait_xxs24_224", "vit_small_patch16_dinov3"]
    command = [sys.executable, "-m", "benchmarks.tpu", "--layers", "1", "--batch", "2"]
    command += ["--attention", "full", "--json", "--chips", "1x1", "2x2", "--models", *models]
    environment = {name: value for name, value in os.environ.items() if "JAX" not in name}
    answer = subprocess.run(
        [*command, *gradient], env=environment, capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [row["model"] for row in rows] == [name for name in models for _ in range(2)]
    assert all(row["moved"] > 0 and row["operations"] > 0 for row in rows)
    assert not any(row["collectives"] for row in rows if row["chips"] == "1x1")
    assert all("all-reduce" in row["collectives"] for row in rows if row["chips"] == "2x2")
