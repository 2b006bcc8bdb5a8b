"""Error rates by hand, and how their intervals cover."""

import numpy as np
import pytest

from train.evaluation import bootstrap, error_rates


def measure(genuine, impostor):
    score = np.array([*genuine, *impostor], float)
    return error_rates.measure(score, np.arange(len(score)) < len(genuine))


def test_rates_at_each_threshold():
    """Accepted is who scores the threshold or more."""
    found = measure([0.2, 0.6, 0.8, 0.9], [0.1, 0.2, 0.3, 0.7, 0.7])
    np.testing.assert_array_equal(found.threshold, [0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, np.inf])
    np.testing.assert_allclose(found.fmr, [1, 0.8, 0.6, 0.4, 0.4, 0, 0, 0])
    np.testing.assert_allclose(found.fnmr, [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 1])


def test_figures_by_hand():
    """The rates cross between 0.6 (FNMR 1/4, FMR 2/5) and 0.7 (1/2, 2/5): the first errs less."""
    found = measure([0.2, 0.6, 0.8, 0.9], [0.1, 0.2, 0.3, 0.7, 0.7]).figures()
    assert found["eer"] == pytest.approx((0.25 + 0.4) / 2)
    assert found["zero_fmr"] == found["fmr100"] == found["fmr1000"] == 0.5
    above = (1 + 1) * 5 + 3 + 1.5  # 0.9 and 0.8 beat all five; 0.6 three; 0.2 one, and ties one
    assert found["auc"] == pytest.approx(above / 20)


def test_equal_error_where_the_rates_meet():
    assert measure([1, 2, 3, 4], [0, 0, 0, 1.5]).equal_error() == 0.25
    assert measure([3, 4], [1, 2]).equal_error() == 0
    assert measure([1, 2], [3, 4]).equal_error() == 1
    assert measure([5, 5], [5, 5]).equal_error() == 0.5


def test_fixed_false_match_rates():
    """1000 impostors score 1 … 1000: ten may pass at FMR100, one at FMR1000, none at ZeroFMR."""
    genuine = [990.5, 991, 999.5, 1000, 1000.5]
    found = measure(genuine, np.arange(1, 1001)).figures()
    assert (found["fmr100"], found["fmr1000"], found["zero_fmr"]) == (0, 0.4, 0.8)


def test_what_could_not_be_compared_is_refused():
    """As the FVC counts it: a failed genuine comparison is an error, a failed impostor none."""
    found = measure([0.9, 0.9, 0.9, -np.inf], [0.1, -np.inf])
    assert found.figures()["zero_fmr"] == 0.25
    assert found.fmr.max() == 0.5
    assert found.area() == pytest.approx(3 / 4 + 1 / 4 * 1 / 2 * 1 / 2)  # two failures tie


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(0)
    score, genuine = rng.normal(size=60).round(1), np.arange(60) < 25
    weight = rng.integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), weight)
    expected = error_rates.measure(score[repeated], genuine[repeated]).figures()
    found = error_rates.measure(score, genuine, weight.astype(float)).figures()
    assert found == pytest.approx(expected)


def test_pairs_count_as_often_as_their_fingers_are_drawn():
    a, b = ["x", "x", "y", "x", "z"], ["x", "x", "y", "y", "x"]
    drawn = bootstrap.draw(a, b, 200)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    np.testing.assert_array_equal(drawn[:, 3], drawn[:, 0] * drawn[:, 2])
    assert drawn[:, 0].mean() == pytest.approx(1, abs=0.2)
    np.testing.assert_array_equal(drawn, bootstrap.draw(a, b, 200))
    assert not np.array_equal(drawn, bootstrap.draw(a, b, 200, seed=1))


def test_one_finger_gives_no_interval():
    drawn = bootstrap.draw(["x", "x"], ["x", "x"])
    assert drawn.shape == (0, 2)
    found = error_rates.intervals(np.ones(2), np.ones(2, bool), drawn)
    assert all(np.isnan(of).all() for of in found.values())


def test_interval_over_fingers_is_wider_than_over_pairs():
    """Fingers that are good or bad as a whole: 20 of them say little, though they have 560 pairs.

    The truth, 0.3 refused at this threshold, lies within; the interval of independent pairs,
    0.3 ± 0.04, is much narrower than that over fingers.
    """
    rng = np.random.default_rng(3)
    fingers = [f"{k:02d}" for k in range(20) for _ in range(28)]
    bad = np.repeat(np.arange(20) < 6, 28)
    score = np.r_[np.where(bad, 0.0, 1.0), np.full(190, 0.5)]
    genuine = np.arange(len(score)) < len(bad)
    i, j = np.triu_indices(20, 1)
    of_a, of_b = ([f"{k:02d}" for k in index] for index in (i, j))
    weights = bootstrap.draw(fingers + of_a, fingers + of_b, 400, int(rng.integers(9)))
    low, high = error_rates.intervals(score, genuine, weights)["zero_fmr"]
    assert 0.05 < low < 0.2
    assert 0.4 < high < 0.6


def test_intervals_of_ratios_and_medians_cover_the_truth():
    """Of 200 sets of 25 fingers with effects of their own, about 95 % of the intervals cover."""
    rng = np.random.default_rng(1)
    fingers = [f"{k}" for k in range(25) for _ in range(4)]
    covered = {"ratio": 0, "median": 0}
    for trial in range(200):
        effect = np.repeat(rng.normal(0, 1, 25), 4)
        values = effect[:, None] + rng.normal(0, 1, (100, 5))
        weights = bootstrap.draw(fingers, fingers, 200, trial)
        around = {
            "ratio": bootstrap.ratio_interval(values.sum(1), np.full(100, 5), weights),
            "median": bootstrap.median_interval(
                values.ravel(), np.repeat(np.arange(100), 5), weights
            ),
        }
        for name, (low, high) in around.items():
            covered[name] += low <= 0 <= high
    assert 175 <= covered["ratio"] <= 198
    assert 175 <= covered["median"] <= 199
