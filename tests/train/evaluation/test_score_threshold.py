"""The recommended threshold and the false match rate that its data support."""

import numpy as np
import pytest

from train.evaluation.score_threshold import count_fingers, recommend

GENUINE = np.arange(3000) < 1000


def scores(*highest):
    """1,000 genuine pairs from 0.30 on, and 2,000 impostor pairs below 0.4 but for `highest`."""
    rng = np.random.default_rng(0)
    score = np.r_[rng.uniform(0.3, 1, 1000), rng.uniform(0, 0.4, 2000)]
    score[1000:1001] = 0.3999
    score[1001 : 1001 + len(highest)] = highest
    return score


@pytest.mark.parametrize(
    ("highest", "threshold", "fmr"),
    [((), 0.40, 0), ((0.7, 0.8), 0.40, 0.001), ((0.7, 0.8, 0.6), 0.61, 0.001)],
)
def test_threshold_is_the_lowest_with_one_false_match_in_a_thousand(highest, threshold, fmr):
    score = scores(*highest)
    if not highest:  # of 2,000 two may be accepted; the third highest is just below 0.4
        score[1001:1003] = 0.3995
    result = recommend(score, GENUINE, 60)
    assert result.score == pytest.approx(threshold)
    assert result.fmr == pytest.approx(fmr)
    assert result.fnmr == (score[:1000] < threshold).mean()
    assert (result.fmr_bound is None) == (fmr > 0)


@pytest.mark.parametrize("highest", [0.07, 0.28, 0.29, 0.56, 0.57, 0.58])
def test_an_impostor_with_a_rounded_score_is_rejected(highest):
    """0.29 / 0.01 is 28.999999999999996 in floating point."""
    result = recommend(np.array([0.99, highest]), np.array([True, False]), 10)
    assert result.fmr == 0
    assert result.score == pytest.approx(highest + 0.01)


def test_without_a_false_match_the_bound_is_by_fingers():
    result = recommend(scores(), GENUINE, 60)
    assert result.fmr_bound == pytest.approx(1 - (1 - 3 / 60) ** 2)
    assert str(result).startswith(
        "recommended threshold of the score: 0.4; FMR 0.00 % in 2,000 impostor pairs of 60 fingers,"
        " which means at most 9.8 % (95 %, rule of three by finger); FNMR 1"
    )
    few = recommend(scores(), GENUINE, 5)
    assert few.fmr_bound is None and "too few for an upper bound" in str(few)
    assert "recommended" not in str(few)


def test_there_may_be_none():
    assert recommend(np.ones(3), np.ones(3, bool), 9) is None
    assert recommend(np.array([0.2, 0.9]), np.array([True, False]), 2) is None


def test_pairs_that_could_not_be_compared_are_rejected():
    result = recommend(np.array([0.9, -np.inf, -np.inf]), np.array([True, True, False]), 2)
    assert (result.score, result.fmr, result.fnmr) == (0.01, 0, 0.5)


def test_fingers_are_counted_once():
    assert count_fingers([("a", "b"), ("b", "c"), ("a", "a")]) == 3
