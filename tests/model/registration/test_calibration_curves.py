"""Agreement as a probability."""

import dataclasses
import math

import numpy as np
import pytest

from model.registration.calibration import (
    DEFAULT_CURVES,
    LIMITS,
    CalibrationCurves,
    log_odds,
    logistic,
)
from model.registration.registrar import DEFAULT


def test_rises_within_0_and_1():
    values = [DEFAULT_CURVES.probability(a) for a in np.linspace(0, 1, 101)]
    assert (np.diff(values) > 0).all()
    assert 0 < values[0] < DEFAULT.least_probability < 0.5 < values[-1] < 1


@pytest.mark.parametrize(
    ("agreement", "low", "high"), [(0.1, 0, DEFAULT.least_probability), (0.6, 0.95, 1)]
)
def test_what_chance_and_what_a_finger_reaches(agreement, low, high):
    assert low < DEFAULT_CURVES.probability(agreement) < high


def test_confidence_in_a_match_rises_within_0_and_1():
    found = DEFAULT_CURVES.match_probability(np.array([0.01, 0.1, 0.5, 0.9, 1.0]))
    assert (np.diff(found) > 0).all()
    assert (found > 0).all() and (found <= 1).all()


def test_log_odds_are_undone_by_the_logistic():
    values = np.array([0.001, 0.2, 0.5, 0.99])
    np.testing.assert_allclose(logistic(log_odds(values)), values, rtol=1e-12)
    assert math.isfinite(log_odds(np.ones(1))[0])


@pytest.mark.parametrize("name", ["score_offset", "score_slope", "match_offset", "match_slope"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9])
def test_numbers_beyond_use_are_refused(name, value):
    with pytest.raises(ValueError, match="expected numbers of at most"):
        dataclasses.replace(DEFAULT_CURVES, **{name: value})


@pytest.mark.parametrize("name", ["score_slope", "match_slope"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_curve_that_does_not_rise_is_refused(name, value):
    """It would put pairs into the wrong order."""
    with pytest.raises(ValueError, match="does not rise"):
        dataclasses.replace(DEFAULT_CURVES, **{name: value})


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_numbers_do_not_overflow(sign):
    steep = CalibrationCurves(
        sign * LIMITS.largest_coefficient,
        LIMITS.largest_coefficient,
        sign * LIMITS.largest_coefficient,
        LIMITS.largest_coefficient,
    )
    assert 0 <= steep.probability(0.5) <= 1
    found = steep.match_probability(np.array([1e-300, 0.5, 1.0]))
    assert ((found >= 0) & (found <= 1)).all()
