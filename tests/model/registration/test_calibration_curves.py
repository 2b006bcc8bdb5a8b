"""Calibration curves: ridge correlations and confidences as probabilities."""

import dataclasses
import math

import numpy as np
import pytest

from model.registration import assessment, calibration
from model.registration.calibration import (
    DEFAULT_CURVES,
    LIMITS,
    CalibrationCurves,
    log_odds,
    logistic,
)
from train.evaluation.bootstrap import zero_error_bound

LEAST = assessment.DEFAULT.least_of_ridges


def test_score_rises_within_0_and_1():
    values = [DEFAULT_CURVES.probability(a) for a in np.linspace(0, 1, 101)]
    assert (np.diff(values) > 0).all()
    assert 0 < values[0] < LEAST < 0.5 < values[-1] < 1


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.1, 0, LEAST), (0.6, 0.95, 1)])
def test_score_of_impostor_and_of_genuine_pairs(correlation, low, high):
    assert low < DEFAULT_CURVES.probability(correlation) < high


def test_match_probability_rises_within_0_and_1():
    probabilities = DEFAULT_CURVES.match_probability(np.array([0.01, 0.1, 0.5, 0.9, 1.0]))
    assert (np.diff(probabilities) > 0).all()
    assert (probabilities > 0).all() and (probabilities <= 1).all()


def test_logistic_inverts_log_odds():
    values = np.array([0.001, 0.2, 0.5, 0.99])
    np.testing.assert_allclose(logistic(log_odds(values)), values, rtol=1e-12)
    assert math.isfinite(log_odds(np.ones(1))[0])


@pytest.mark.parametrize("name", ["score_offset", "score_slope", "match_offset", "match_slope"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9])
def test_unusable_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match="expected numbers of at most"):
        dataclasses.replace(DEFAULT_CURVES, **{name: value})


@pytest.mark.parametrize("name", ["score_slope", "match_slope"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_falling_curves_are_refused(name, value):
    """They would put pairs into the wrong order."""
    with pytest.raises(ValueError, match="does not rise"):
        dataclasses.replace(DEFAULT_CURVES, **{name: value})


@pytest.mark.parametrize("sign", [-1, 1])
def test_largest_numbers_do_not_overflow(sign):
    largest = LIMITS.largest_coefficient
    steep = CalibrationCurves(sign * largest, largest, sign * largest, largest)
    assert 0 <= steep.probability(0.5) <= 1
    probabilities = steep.match_probability(np.array([1e-300, 0.5, 1.0]))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_the_recommended_threshold_states_what_its_data_support():
    threshold = calibration.THRESHOLD
    assert threshold.fmr_bound == pytest.approx(zero_error_bound(threshold.fingers, 2), rel=0.01)
    assert str(threshold).endswith(
        "0.7; no false match in 2,220 impostor pairs of 292 fingers, so an FMR of at most 2.0 %"
        " for whole impressions"
    )
