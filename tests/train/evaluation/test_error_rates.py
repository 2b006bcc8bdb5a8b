"""Error rates worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from train.evaluation import bootstrap, error_rates
from train.evaluation.bootstrap import BootstrapParameters


def compute(genuine, impostor):
    score = np.array([*genuine, *impostor], float)
    return error_rates.compute(score, np.arange(len(score)) < len(genuine))


def test_rates_at_each_threshold():
    """A pair is accepted with a score of the threshold or more."""
    rates = compute([0.2, 0.6, 0.8, 0.9], [0.1, 0.2, 0.3, 0.7, 0.7])
    np.testing.assert_array_equal(rates.threshold, [0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, np.inf])
    np.testing.assert_allclose(rates.fmr, [1, 0.8, 0.6, 0.4, 0.4, 0, 0, 0])
    np.testing.assert_allclose(rates.fnmr, [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 1])


def test_metrics_by_hand():
    """The rates cross between 0.6 (FNMR 1/4, FMR 2/5) and 0.7 (1/2, 2/5): the first sum is less."""
    metrics = compute([0.2, 0.6, 0.8, 0.9], [0.1, 0.2, 0.3, 0.7, 0.7]).metrics()
    assert metrics["eer"] == pytest.approx((0.25 + 0.4) / 2)
    assert metrics["zero_fmr"] == metrics["fmr100"] == metrics["fmr1000"] == 0.5
    above = (1 + 1) * 5 + 3 + 1.5  # 0.9 and 0.8 exceed all five; 0.6 three; 0.2 one and ties one
    assert metrics["auc"] == pytest.approx(above / 20)


def test_equal_error_where_the_rates_meet():
    assert compute([1, 2, 3, 4], [0, 0, 0, 1.5]).eer() == 0.25
    assert compute([3, 4], [1, 2]).eer() == 0
    assert compute([1, 2], [3, 4]).eer() == 1
    assert compute([5, 5], [5, 5]).eer() == 0.5


def test_equal_error_of_tied_scores_has_the_least_sum_of_rates():
    """FNMR and FMR are 0.3 and 0.5 at threshold 5, 0.4 and 0.1 at 9."""
    rates = compute([0, 0, 0, 5, 9, 9, 9, 9, 9, 9], [0, 0, 0, 0, 0, 5, 5, 5, 5, 9])
    assert rates.eer() == 0.25


@pytest.mark.parametrize("seed", range(3))
def test_auc_against_every_pair_of_scores(seed):
    """With many ties."""
    rng = np.random.default_rng(seed)
    score, genuine = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.4
    above = score[genuine][:, None] - score[~genuine][None]
    brute = (above > 0).mean() + (above == 0).mean() / 2
    assert error_rates.metrics(score, genuine)["auc"] == pytest.approx(brute)


def test_auc_equals_that_of_scikit_learn():
    """With ties and weights; pipeline.realism uses scikit-learn's."""
    rng = np.random.default_rng(0)
    score, genuine = rng.normal(size=300).round(1), rng.random(300) < 0.3
    weight = rng.integers(0, 4, 300).astype(float)
    expected = roc_auc_score(genuine, score, sample_weight=weight)
    assert error_rates.compute(score, genuine, weight).auc() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("genuine", "impostor", "auc", "eer"),
    [
        ([0.8, 0.9, 1.0], [0.1, 0.2], 1.0, 0.0),
        ([0.1, 0.2], [0.8, 0.9], 0.0, 1.0),
        ([0.5, 0.5], [0.5, 0.5, 0.5], 0.5, 0.5),
        ([0.3, 0.7, 0.8, 0.9], [0.1, 0.2, 0.4, 0.75], 13 / 16, 0.25),
    ],
)
def test_known_scores(genuine, impostor, auc, eer):
    score = np.array(genuine + impostor)
    metrics = error_rates.metrics(score, np.arange(len(score)) < len(genuine))
    assert metrics["auc"] == pytest.approx(auc)
    assert metrics["eer"] == pytest.approx(eer)


@pytest.mark.parametrize("genuine", [True, False])
def test_one_kind_of_pairs_has_no_error_rates(genuine):
    metrics = error_rates.metrics(np.array([0.1, 0.9]), np.full(2, genuine))
    assert list(metrics) == list(error_rates.METRICS)
    assert np.isnan(list(metrics.values())).all()


def test_fixed_false_match_rates():
    """1000 impostors score 1 … 1000: ten may pass at FMR100, one at FMR1000, none at ZeroFMR."""
    genuine = [990.5, 991, 999.5, 1000, 1000.5]
    metrics = compute(genuine, np.arange(1, 1001)).metrics()
    assert (metrics["fmr100"], metrics["fmr1000"], metrics["zero_fmr"]) == (0, 0.4, 0.8)


def test_failed_comparison_is_rejected():
    """As FVC counts it: a failed genuine comparison is an error, a failed impostor is none."""
    rates = compute([0.9, 0.9, 0.9, -np.inf], [0.1, -np.inf])
    assert rates.metrics()["zero_fmr"] == 0.25
    assert rates.fmr.max() == 0.5
    assert rates.auc() == pytest.approx(3 / 4 + 1 / 4 * 1 / 2 * 1 / 2)  # two failures tie


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(0)
    score, genuine = rng.normal(size=60).round(1), np.arange(60) < 25
    weight = rng.integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), weight)
    expected = error_rates.compute(score[repeated], genuine[repeated]).metrics()
    metrics = error_rates.compute(score, genuine, weight.astype(float)).metrics()
    assert metrics == pytest.approx(expected)


def test_without_replicas_there_is_no_interval():
    weights = bootstrap.resample_weights(["x", "x"], ["x", "x"])
    assert weights.shape == (0, 2)
    ends = error_rates.intervals(np.ones(2), np.ones(2, bool), weights)
    assert all(np.isnan(interval).all() for interval in ends.values())


def test_interval_over_fingers_is_wider_than_over_pairs():
    """20 fingers that are good or bad in all their pairs say little, though they have 560 pairs.

    The truth, 0.3 rejected at this threshold, lies within; the interval of independent pairs,
    0.3 ± 0.04, is much narrower than that over fingers.
    """
    rng = np.random.default_rng(3)
    fingers = [f"{k:02d}" for k in range(20) for _ in range(28)]
    bad = np.repeat(np.arange(20) < 6, 28)
    score = np.r_[np.where(bad, 0.0, 1.0), np.full(190, 0.5)]
    genuine = np.arange(len(score)) < len(bad)
    i, j = np.triu_indices(20, 1)
    fingers_a, fingers_b = [f"{k:02d}" for k in i], [f"{k:02d}" for k in j]
    weights = bootstrap.resample_weights(
        fingers + fingers_a,
        fingers + fingers_b,
        BootstrapParameters(replicas=400, seed=int(rng.integers(9))),
    )
    low, high = error_rates.intervals(score, genuine, weights)["zero_fmr"]
    assert 0.05 < low < 0.2
    assert 0.4 < high < 0.6
