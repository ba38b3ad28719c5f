"""From turns to figures, and from figures to table, file and plots."""

import dataclasses
import json

import pytest

from benchmarks import report
from benchmarks.contenders import Task
from benchmarks.harness import plots
from benchmarks.harness.figures import Row, by_round, ratio, row, spread
from benchmarks.harness.rounds import Turn
from benchmarks.harness.subjects import SUBJECTS

FACTS = {"images": 4, "first_call": 2.0, "peak": 200 * 2**20, "added": 2**20, "scores": "2 of 4x1"}
REFERENCES = ["timm-fused", "onnxruntime"]


def turns(name, *seconds, group=0):
    return [Turn(name, group, index, (value,)) for index, value in enumerate(seconds)]


def test_a_contender_is_as_fast_as_itself():
    measured = turns("timm-fused", 1.0, 5.0, 2.0)
    assert ratio(measured, "timm-fused", "timm-fused") == 1.0


def test_ratios_are_paired_so_that_a_slow_minute_does_not_matter():
    measured = turns("timm-fused", 1.0, 10.0, 1.0) + turns("x", 0.5, 5.0, 0.5)
    assert ratio(measured, "x", "timm-fused") == 2.0


def test_those_who_never_met_are_compared_through_somebody_who_met_both():
    measured = (
        turns("timm-fused", 1.0, 1.0)
        + turns("onnxruntime", 0.5, 0.5)
        + turns("timm-fused", 3.0, 3.0, group=1)
        + turns("x", 1.0, 1.0, group=1)
    )
    assert ratio(measured, "x", "onnxruntime") is None
    assert ratio(measured, "x", "onnxruntime", "timm-fused") == pytest.approx(1.5)


def test_a_turn_counts_by_its_median():
    measured = [Turn("x", 0, 0, (1.0, 9.0, 2.0))]
    assert by_round(measured, "x") == {(0, 0): 2.0}


def test_spread():
    assert spread([1.0, 1.0, 1.0, 1.0]) == 0.0
    assert spread([1.0, 2.0, 3.0, 4.0]) > 0.3
    assert spread([1.0, 2.0]) is None


def test_a_row_of_figures():
    measured = turns("timm-fused", 1.0, 1.0) + turns("x", 0.5, 0.5)
    found = row("x", measured, FACTS, REFERENCES, operations=10.0, peak_operations=160.0)
    assert found.images_per_second == 8.0
    assert found.share == 0.5
    assert found.ratios == {"timm-fused": 2.0, "onnxruntime": None}


def test_who_did_not_run_says_why():
    assert row("x", [], {"skipped": "no GPU"}, REFERENCES).skipped == "no GPU"


def test_the_table_holds_every_contender_in_columns_of_one_width():
    rows = [
        Row("fast", 0.001, 0.1, 4000.0, {"timm-fused": 2.5}, 0.5, 1.0, 2**30, 2**20, "2 of 4x1"),
        Row("slow one", 1.0, None, 4.0, {"timm-fused": 0.25}, None, 1.0, 2**30, 0),
        Row("absent", skipped="not installed"),
    ]
    lines = report.table(rows, ["timm-fused"]).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert len({line.count("|") for line in lines[:-1]}) == 1
    assert "2.50" in lines[2]
    assert "50%" in lines[2]
    assert "1024" in lines[2]
    assert lines[-1] == "skipped absent: not installed"


@pytest.mark.parametrize(
    ("name", "size", "giga"),
    [
        ("cait_xxs24_224", 224, 5.05),
        ("vit_small_patch16_224", 224, 9.2),
        ("vit_base_patch16_224", 224, 35.1),
        ("vit_small_patch8_224", 224, 44.8),
        ("vit_small_patch8_224", 480, 392),
        # timm counts 0.56 pairs, with queries of all tokens in both class-attention blocks.
        ("xcit_nano_12_p16_224", 224, 2 * 0.556 - 0.013),
    ],
)
def test_operations_are_those_that_others_count(name, size, giga):
    assert SUBJECTS[name].operations(size) / 1e9 == pytest.approx(giga, rel=0.01)


@pytest.fixture
def results():
    cells = []
    for batch, size in [(1, 224), (8, 224), (1, 448)]:
        measured = turns("timm-fused", 1.0, 1.1) + turns("kerasvit-jax-full", 0.5, 0.4)
        rows = [
            row(name, measured, FACTS, ["timm-fused"])
            for name in ("timm-fused", "kerasvit-jax-full")
        ]
        task = Task("timm-fused", "vit", batch, size, 2)
        cells.append(report.cell(task, [*rows, Row("absent", skipped="gone")], measured))
    return {
        "machine": {"processor": "P", "threads": 2, "date": "D", "versions": {"keras": "3"}},
        "busyness": {"load_at_start": 3.0, "load_at_end": 4.0, "used_by_others": 0.5},
        "references": ["timm-fused"],
        "peak": {"jax": 4e11},
        "cells": cells,
    }


def test_a_saved_run_tells_the_same(results, tmp_path):
    path = tmp_path / "new" / "speed.json"
    report.save(results, path)
    assert report.text(json.loads(path.read_text())) == report.text(results)


def test_the_text_names_tasks_machine_and_how_busy_it_was(results):
    text = report.text(results)
    assert "vit, batch 8, 224 px" in text
    assert "jax 400" in text
    assert "others used 50% of its CPUs" in text
    results["busyness"] = {"load_at_start": 0.0, "load_at_end": 2.0, "used_by_others": 0.01}
    assert "busy" not in report.text(results)


def test_plots_are_drawn_along_the_axes_that_have_several_points(results, tmp_path):
    names = [path.name for path in plots.draw(results, tmp_path / "speed")]
    assert names == ["speed-by-batch.png", "speed-by-size.png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    results["cells"] = results["cells"][:1]
    assert plots.draw(results, tmp_path / "one") == []


def test_rows_survive_json():
    given = Row("x", 1.0, ratios={"timm-fused": 1.0})
    assert Row(**json.loads(json.dumps(dataclasses.asdict(given)))) == given
