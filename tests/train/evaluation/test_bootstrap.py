"""Confidence intervals over fingers: the resampling, and how often intervals cover the truth."""

import dataclasses
import math

import numpy as np
import pytest

from train.evaluation import bootstrap, error_rates
from train.evaluation.bootstrap import BootstrapParameters

FEW = BootstrapParameters(replicas=200, min_fingers=2)


def test_pairs_count_as_often_as_their_fingers():
    a, b = ["x", "x", "y", "x", "z"], ["x", "x", "y", "y", "x"]
    weights = bootstrap.resample_weights(a, b, FEW)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 0] * weights[:, 2])
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.2)
    np.testing.assert_array_equal(weights, bootstrap.resample_weights(a, b, FEW))
    other = bootstrap.resample_weights(a, b, dataclasses.replace(FEW, seed=1))
    assert not np.array_equal(weights, other)


def test_intervals_of_ratios_and_medians_cover_the_truth():
    """In 200 sets of 25 fingers with effects of their own, about 95 % of the intervals cover it."""
    rng = np.random.default_rng(1)
    fingers = [f"{k}" for k in range(25) for _ in range(4)]
    pair_index = np.repeat(np.arange(100), 5)
    covered = {"ratio": 0, "median": 0}
    for trial in range(200):
        effect = np.repeat(rng.normal(0, 1, 25), 4)
        values = effect[:, None] + rng.normal(0, 1, (100, 5))
        parameters = dataclasses.replace(FEW, seed=trial)
        weights = bootstrap.resample_weights(fingers, fingers, parameters)
        ends = {
            "ratio": bootstrap.ratio_interval(values.sum(1), np.full(100, 5), weights),
            "median": bootstrap.median_interval(values.ravel(), pair_index, weights),
        }
        for name, (low, high) in ends.items():
            covered[name] += low <= 0 <= high
    assert 175 <= covered["ratio"] <= 198
    assert 175 <= covered["median"] <= 199


@pytest.mark.parametrize(("fingers", "bound"), [(10, 0.3), (100, 0.03), (9, None), (0, None)])
def test_no_error_in_n_fingers_means_at_most_three_in_n(fingers, bound):
    assert bootstrap.zero_error_bound(fingers) == (bound and pytest.approx(bound))


@pytest.mark.parametrize("fingers_of_a_pair", [1, 2])
def test_rule_of_three_covers_the_truth(fingers_of_a_pair):
    """With the bound's own error rate, all of n fingers are without error in about 5 % of cases."""
    rng = np.random.default_rng(0)
    of_pairs = bootstrap.zero_error_bound(50, fingers_of_a_pair)
    of_fingers = 1 - (1 - of_pairs) ** (1 / fingers_of_a_pair)
    errors = rng.random((20_000, 50)) < of_fingers
    assert 0.03 < (~errors.any(1)).mean() < 0.06


@pytest.mark.parametrize(
    ("value", "ends", "is_share", "expected"),
    [
        (0.0, (0.0, 0.0), True, (0.0, 0.15)),
        (1.0, (1.0, 1.0), True, (0.85, 1.0)),
        (1.0, (0.5, 1.0), True, (0.5, 1.0)),
        (0.0, (0.0, 0.0), False, (0.0, 0.0)),
        (0.2, (0.3, 0.4), True, (0.2, 0.4)),
        (5.0, (3.0, 4.0), False, (3.0, 5.0)),
    ],
)
def test_an_interval_contains_the_value_and_never_shrinks_to_zero_errors(
    value, ends, is_share, expected
):
    assert bootstrap.complete_interval(value, ends, 20, is_share) == pytest.approx(expected)
    assert np.isnan(bootstrap.complete_interval(value, ends, 9, is_share)).all()


def test_intervals_of_any_scores_contain_the_metrics():
    rng = np.random.default_rng(5)
    fingers = [f"{k}" for k in range(12)]
    a, b = fingers * 3 + fingers, fingers * 3 + fingers[1:] + fingers[:1]
    genuine = np.arange(48) < 36
    weights = bootstrap.resample_weights(a, b, BootstrapParameters(replicas=60))
    for _ in range(40):
        score = np.where(genuine, 0.5, 0) + rng.normal(0, 0.4, 48).round(1)
        values = error_rates.metrics(score, genuine)
        ends = error_rates.intervals(score, genuine, weights)
        completed = bootstrap.with_intervals(
            values, ends, dict.fromkeys(values, 12), error_rates.METRICS
        )
        for name, value in values.items():
            low, high = completed[f"{name}_low"], completed[f"{name}_high"]
            assert low <= value <= high and low < high


def test_intervals_as_text():
    assert bootstrap.format_interval(0.0, 0.0, 0.3, "{:.1%}") == "at most 30.0%"
    assert bootstrap.format_interval(1.0, 0.7, 1.0, "{:.1%}") == "at least 70.0%"
    assert bootstrap.format_interval(2.5, 2.0, 3.0, "{:.2f}") == "2.00–3.00"
    assert bootstrap.format_interval(2.5, math.nan, math.nan, "{:.2f}") == ""
