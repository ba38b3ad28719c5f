"""One row a method: what the row says is what the method does, and what is written elsewhere."""

import pathlib

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.saliency import METHODS, Method, explain
from kerasvit.saliency.method import SHARED
from kerasvit.saliency.methods.table import find_method, with_use_for
from kerasvit.saliency.options import MethodOptions

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = [
    pytest.param(name, option, id=f"{name}.{option.name}")
    for name, row in METHODS.items()
    for option in row.options.known()
]
# Other values than the default, by name of the option; few masks and samples, to be quick.
OTHERS = {
    "discard": 0.5,
    "start_layer": 1,
    "signed": "absolute",
    "weights": "patch",
    "steps": 3,
    "baseline": "blur",
    "samples": 2,
    "noise": 0.5,
    "seed": 7,
    "times_input": True,
    "times_attention": True,
    "masks": 5,
    "cells": 2,
    "kept": 0.8,
    "similarity": 0.6,
    "output": "values",
    "seeds": 2,
}
QUICK = {"rise": {"masks": 6}, "smoothgrad": {"samples": 2}}
# Probabilities do not notice; CaiT's scores after the second head mixing are none.
WITHOUT_EFFECT = {("rollout", "signed")}


def table() -> str:
    """Return the rows as the documentation shows them."""
    lines = ["| method | what it shows | class | options and their defaults |", "|---|---|---|---|"]
    for row in METHODS.values():
        options = ", ".join(
            f"`{option.name}`" + ("" if option.default is None else f" {option.default}")
            for option in row.options.known()
        )
        by_class = "yes" if "target" in row.takes else ""
        lines.append(f"| `{row.name}` | {row.about} | {by_class} | {options} |")
    return "\n".join(lines) + "\n"


def test_the_documentation_holds_the_rows():
    documented = (ROOT / "docs" / "measurements" / "saliency_methods.md").read_text()
    assert table() in documented, f"put this into docs/measurements/saliency_methods.md:\n{table()}"
    counted = {14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen"}[len(METHODS)]
    assert f"by {counted} methods" in (ROOT / "README.md").read_text()
    assert documented.partition("\n\n")[2].startswith(counted.capitalize())


def test_methods_are_iterated_and_looked_up_by_name():
    assert list(METHODS)[:2] == ["attention", "rollout"]
    assert "occlusion" in METHODS
    assert "occlude" not in METHODS
    assert all(isinstance(row, Method) and row.name == name for name, row in METHODS.items())
    assert find_method("lost") is METHODS["lost"]
    for row in METHODS.values():
        assert set(row.takes) <= set(SHARED)
        assert row.about
        assert issubclass(row.options, MethodOptions)
    assert with_use_for("layer") == ("attention", "grad_attention", "gradcam")


@pytest.mark.parametrize(("method", "option"), OPTIONS)
def test_every_option_is_said_in_a_line_has_its_default_and_changes_the_map(real, method, option):
    assert option.about
    assert "\n" not in option.about
    model = real.cait() if method == "class_attention_rollout" else real.vit()
    quick = {name: value for name, value in QUICK.get(method, {}).items() if name != option.name}
    left_out = explain(model, real.pixels, method, **quick)
    other = explain(model, real.pixels, method, **quick, **{option.name: OTHERS[option.name]})
    assert other.settings[option.name] == OTHERS[option.name]
    scale = np.abs(left_out.values).max()
    changed = bool(np.abs(other.values - left_out.values).max() > 1e-5 * scale)
    assert changed == ((method, option.name) not in WITHOUT_EFFECT)
    if option.default is not None and option.name not in quick:
        given = explain(model, real.pixels, method, **quick, **{option.name: option.default})
        np.testing.assert_array_equal(given.values, left_out.values)
        assert given.settings == left_out.settings


@pytest.mark.parametrize(("method", "option"), OPTIONS)
def test_a_value_of_another_kind_is_refused_in_python_and_on_the_command_line(method, option):
    options = METHODS[method].options
    if option.kinds is None:
        assert options.parse({option.name: "blur"}) == {option.name: "blur"}
        assert options.parse({option.name: "0.5"}) == {option.name: 0.5}
        return
    for wrong in ([], {}, object(), "wrong", b"0", float("nan"), 1j, np.zeros(2)):
        with pytest.raises(UsageError, match=option.name) as error:
            options.read({option.name: wrong})
        assert "\n" not in str(error.value)
        assert "Received" in str(error.value)
    with pytest.raises(UsageError, match=f"{option.name}.*wrong"):
        options.parse({option.name: "wrong"})
    known = options.parse({option.name: str(OTHERS[option.name])})
    assert known == {option.name: OTHERS[option.name]}
    assert type(known[option.name]) is type(OTHERS[option.name])


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_option_is_answered_with_those_there_are(method):
    with pytest.raises(UsageError, match="no such option") as error:
        METHODS[method].options.read({"sharpness": 1})
    for option in METHODS[method].options.known():
        assert option.name in str(error.value)


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("rollout", {"discard": 1}),
        ("rollout", {"discard": -0.1}),
        ("rollout", {"signed": "maybe"}),
        ("rise", {"kept": 0}),
        ("rise", {"cells": 0}),
        ("rise", {"seed": -1}),
        ("smoothgrad", {"noise": -0.5}),
        ("smoothgrad", {"times_input": 2}),
        ("tokencut", {"similarity": 1.0}),
        ("lost", {"seeds": 0}),
        ("headwise", {"steps": 1}),
    ],
)
def test_what_is_out_of_range_is_refused_before_the_model_runs(method, values):
    ((name, value),) = values.items()
    with pytest.raises(UsageError, match=f"Received: {name}={value!r}"):
        METHODS[method].options.read(values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [("target", 0), ("layer", 0), ("heads", 1), ("query", (1, 2)), ("stage", "sa")],
)
def test_a_row_takes_what_changes_its_map(real, method, argument, value):
    cait = argument == "stage" or method == "class_attention_rollout"
    model = real.cait() if cait else real.vit()
    row, quick = METHODS[method], QUICK.get(method, {})
    usual = {"target": 1} if argument == "target" else {}
    before = explain(model, real.pixels, method, **{**quick, **usual}).values
    try:
        after = explain(model, real.pixels, method, **quick, **{argument: value}).values
    except UsageError:
        # It looked at the argument; that it may not be of this value is said elsewhere.
        assert argument in row.takes or argument in ("layer", "heads")
        return
    changed = bool(np.abs(after - before).max() > 0)
    assert changed <= (argument in row.takes)
    # The stage alone may be looked at without a change.
    assert changed >= (argument in row.takes and argument != "stage")
