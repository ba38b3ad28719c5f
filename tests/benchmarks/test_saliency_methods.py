"""The tables and bars of the saliency benchmarks."""

import json

import pytest
from PIL import Image

from benchmarks import attention_memory, saliency_methods


def values(height, seconds=0.5, share=0.3):
    """Return a method's part of a report; `height` is what every curve has."""
    return {
        "perturbation": {"positive": height, "negative": height},
        "insertion_deletion": {"insertion": height, "deletion": height},
        "grid_pointing": {"share": share, "pointing": share},
        "infidelity": {"mean": height},
        "median_seconds": seconds,
    }


@pytest.fixture
def report(tmp_path):
    heights = {"a": 0.1, "b": 0.5, "c": 0.2, "d": 0.4, "e": 0.3}
    methods = {name: values(height) for name, height in heights.items()}
    methods["e"]["grid_pointing"] = {"skipped": "too few pictures"}
    found = {"model": "m", "n": 7, "input": [7, 32, 32, 3], "methods": methods}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(found))
    return path


def test_the_best_of_a_column_are_bold_by_its_own_sense(report, capsys):
    saliency_methods.report(report)
    lines = report.with_suffix(".md").read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == lines
    titles = [cell.strip() for cell in lines[0].split("|")[1:-1]]
    rows = {row.split("|")[1].strip(" `"): row.split("|")[1:-1] for row in lines[2:]}
    bold = {
        title: {name for name, row in rows.items() if "**" in row[index]}
        for index, title in enumerate(titles)
    }
    assert bold["positive ↓"] == bold["infidelity ↓"] == {"a", "c", "e"}
    assert bold["negative ↑"] == bold["insertion ↑"] == {"b", "d", "e"}
    assert rows["e"][titles.index("mosaic share ↑")].strip() == "-"


def test_the_plot_leaves_out_what_was_not_measured(report):
    saliency_methods.report(report)
    with Image.open(report.with_suffix(".png")) as plot:
        assert plot.width > plot.height


@pytest.mark.parametrize(("cls", "explain", "missed"), [(3, 3, False), (4, 3, True), (3, 4, True)])
def test_the_memory_bar_is_a_third_of_full(cls, explain, missed):
    added = {"full": 9, "cls": cls, "none": 2, "explain": explain}
    found = {mode: attention_memory.Figures(100, value, 1.0) for mode, value in added.items()}
    assert attention_memory.missed(found) == missed
    assert len(attention_memory.lines("torch", found)) == 4
