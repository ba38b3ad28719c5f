"""Standard errors and intervals: their definitions, their coverage, and that they are paired."""

import csv
import io

import numpy as np
import pytest

from kerasvit.evaluation.statistics import Bootstrap, Sample, summarise
from kerasvit.evaluation.tables import COLUMNS, as_csv, reasons, rows


def test_a_mean_has_the_error_of_the_textbook():
    values = np.random.default_rng(0).gamma(2.0, size=40)
    found = Bootstrap().summary(Sample.of(values))
    assert found["n"] == 40
    assert found["mean"] == pytest.approx(values.mean())
    assert found["standard_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    low, high = found["interval"]
    assert low < values.mean() < high
    # 1.96 standard errors on either side, about.
    assert high - low == pytest.approx(2 * 1.96 * found["standard_error"], rel=0.1)


def test_intervals_equal_scipys():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).gamma(1.0, size=60)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=0
    ).confidence_interval
    found = Bootstrap(resamples=20_000).summary(Sample.of(values))["interval"]
    np.testing.assert_allclose(found, expected, atol=0.02 * values.std())


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    bootstrap = Bootstrap(resamples=400)
    hits = 0
    for _ in range(300):
        low, high = bootstrap.summary(Sample.of(rng.normal(1, 1, 50)))["interval"]
        hits += low <= 1 <= high
    # The percentile interval of 50 values covers about 94 %; three deviations of 300 trials.
    assert 0.90 <= hits / 300 <= 0.985


def test_differences_are_paired():
    rng = np.random.default_rng(3)
    difficulty = rng.normal(0, 10, 50)
    first, second = difficulty + 0.3, difficulty + rng.normal(0, 0.1, 50)
    samples = {"rollout": {"x": Sample.of(second)}, "attention": {"x": Sample.of(first)}}
    found = summarise(samples, "rollout", Bootstrap())
    low, high = found["attention"]["x"]["difference"]["interval"]
    assert 0.2 < low < 0.3 < high < 0.4
    assert "difference" not in found["rollout"]["x"]
    # Unpaired the pictures' difficulty would drown it.
    assert found["rollout"]["x"]["standard_error"] > 1


def test_ratios_are_those_of_sums_not_means_of_ratios():
    intersection = np.array([[1.0, 8.0], [3.0, 0.0], [2.0, 6.0]])
    union = np.array([[2.0, 10.0], [30.0, 0.0], [2.0, 10.0]])
    sample = Sample(intersection, union)
    found = Bootstrap().summary(sample)
    assert found["mean"] == pytest.approx((6 / 34 + 14 / 20) / 2)
    assert found["standard_error"] > 0
    # A class that is nowhere does not count.
    assert Sample(intersection * [1, 0], union * [1, 0]).figures(np.ones(3)) == 6 / 34


def test_equal_seeds_give_equal_intervals_and_one_picture_none():
    values = np.random.default_rng(4).random(9)
    sample = Sample.of(values)
    assert Bootstrap(5).summary(sample) == Bootstrap(5).summary(sample)
    assert Bootstrap(5).summary(sample) != Bootstrap(6).summary(sample)
    one = Bootstrap().summary(Sample.of(values[:1]))
    assert one == {"n": 1, "mean": values[0], "standard_error": None, "interval": None}
    assert Bootstrap().difference(Sample.of([1.0]), Sample.of([0.25])) == {
        "mean": 0.75,
        "interval": None,
    }
    assert Bootstrap().band(values[None]) is None


def test_bands_of_curves_hold_their_mean():
    curves = np.random.default_rng(5).random((30, 7))
    low, high = Bootstrap().band(curves)
    assert (np.array(low) < curves.mean(axis=0)).all()
    assert (np.array(high) > curves.mean(axis=0)).all()


def test_a_report_is_a_table():
    statistics = summarise(
        {"a": {"share": Sample.of([0.0, 1.0])}, "b": {"share": Sample.of([1, 1])}}, "a", Bootstrap()
    )
    report = {
        "n": 2,
        "reference": "a",
        "protocols": {"grid_pointing": "", "perturbation": ""},
        "statistics": {"grid_pointing": statistics},
        "methods": {
            name: {"seconds_per_picture": 0.5, "perturbation": {"skipped": 'too few, "really"'}}
            for name in "ab"
        },
    }
    assert reasons(report) == {"perturbation": 'too few, "really"'}
    read = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert list(read[0]) == list(COLUMNS)
    assert len(read) == len(rows(report)) == 6
    (row,) = (row for row in read if row["method"] == "b" and row["figure"] == "share")
    assert float(row["difference"]) == 0.5
    assert row["better"] == "high"
    assert sum('too few, "really"' in row["note"] for row in read) == 2
