"""Accuracy metrics of sets of pairs against cases worked out by hand."""

import numpy as np
import pytest

from train.evaluation import accuracy, bootstrap
from train.evaluation.bootstrap import BootstrapParameters

# Scores of ten genuine and ten impostor pairs with many ties: at threshold 5 FNMR is 0.3 and FMR
# 0.5, at 9 they are 0.4 and 0.1. The rates are nearer to each other at 5 (mean 0.4), but their
# sum is less at 9 (mean 0.25), which is the EER that FVC2000 defines.
TIED_GENUINE = [0, 0, 0, 5, 9, 9, 9, 9, 9, 9]
TIED_IMPOSTOR = [0, 0, 0, 0, 0, 5, 5, 5, 5, 9]


def results(pairs=1, cells=64, **arrays):
    """Results of pairs whose matches are all kept, visible and exact, but for `arrays`."""
    return {
        "error": np.zeros((pairs, cells), np.float32),
        "visible": np.ones((pairs, cells), bool),
        "kept": np.ones((pairs, cells), bool),
        "rotation_error": np.zeros(pairs, np.float32),
        "score": np.zeros(pairs, np.float32),
        "genuine": np.ones(pairs, bool),
    } | arrays


@pytest.fixture
def one_pair():
    """Errors of 0, 1.125, 2.25 and 9 px of 16 cells each; 8 cells not visible, 8 not kept."""
    error = np.repeat([0.0, 0.5, 1.0, 4.0], 16)[None].astype(np.float32) * 2.25
    index = np.arange(64)[None]
    return results(error=error, visible=index >= 8, kept=(index < 8) | (index >= 16))


def test_end_point_errors_are_of_visible_cells(one_pair):
    metrics = accuracy.summarise(one_pair)
    assert metrics["epe_median"] == pytest.approx(2.25, abs=1e-4)
    assert metrics["epe_mean"] == pytest.approx((16 * 0.5 + 16 * 1 + 16 * 4) / 56 * 2.25, abs=1e-4)


def test_pck_counts_the_visible_cells_within_a_distance(one_pair):
    """0, 1.125, 2.25 and 9 px: 8, 16, 16 and 16 visible cells."""
    metrics = accuracy.summarise(one_pair)
    shares = [metrics[f"pck@{limit}"] for limit in (2, 4, 8)]
    assert shares == pytest.approx([24 / 56, 40 / 56, 40 / 56])


def test_precision_and_recall(one_pair):
    """A right match is kept, visible and within a ridge period of the truth."""
    metrics = accuracy.summarise(one_pair)
    assert metrics["precision"] == pytest.approx(32 / 56)  # of 56 kept, 8 out of view, 16 far off
    assert metrics["recall"] == pytest.approx(32 / 56)  # of 56 visible, 8 not kept, 16 far off


def test_rotation_error_is_the_median_of_genuine_pairs():
    metrics = accuracy.summarise(
        results(
            4,
            rotation_error=np.array([0.1, 0.2, 0.3, 3.0]),
            genuine=np.arange(4) < 3,
        )
    )
    assert metrics["rotation_error_deg"] == pytest.approx(np.degrees(0.2), abs=0.01)


def test_undefined_metrics_are_nan():
    """Impostors alone, none of whose cells is visible or kept."""
    nothing = np.zeros((3, 64), bool)
    empty = results(3, visible=nothing, kept=nothing, genuine=np.zeros(3, bool))
    assert np.isnan(list(accuracy.summarise(empty).values())).all()
    ends = accuracy.intervals(empty, np.ones((5, 3)))
    assert np.isnan(list(ends.values())).all()


@pytest.mark.parametrize("metric", ["eer", "auc"])
def test_interval_uses_the_estimator_of_the_point(metric):
    """A replica that is the data itself gives the point, also where scores are tied."""
    score = np.array([*TIED_GENUINE, *TIED_IMPOSTOR], np.float32)
    tied = results(20, score=score, genuine=np.arange(20) < 10)
    point = accuracy.summarise(tied)[metric]
    assert metric != "eer" or point == 0.25
    low, high = accuracy.intervals(tied, np.ones((1, 20)))[metric]
    assert low == point == high


def test_interval_of_tied_scores_contains_the_equal_error_rate():
    score = np.array([*TIED_GENUINE, *TIED_IMPOSTOR], np.float32)
    tied = results(20, score=score, genuine=np.arange(20) < 10)
    fingers = [f"{k}" for k in range(10)]
    others = fingers[1:] + fingers[:1]
    weights = bootstrap.resample_weights(
        fingers + fingers, fingers + others, BootstrapParameters(replicas=500)
    )
    low, high = accuracy.intervals(tied, weights)["eer"]
    assert low < accuracy.summarise(tied)["eer"] == 0.25 < high
