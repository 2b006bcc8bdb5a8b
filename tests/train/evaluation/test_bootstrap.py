"""Confidence intervals over fingers: the resampling, and how often intervals cover the truth."""

import dataclasses

import numpy as np
import pytest

from train.evaluation import bootstrap
from train.evaluation.bootstrap import BootstrapParameters

FEW = BootstrapParameters(replicas=200)


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
