"""Agreement as a probability."""

import numpy as np
import pytest

from model.score import LEAST, match_probability, probability


def test_rises_within_0_and_1():
    values = [probability(a) for a in np.linspace(0, 1, 101)]
    assert (np.diff(values) > 0).all()
    assert 0 < values[0] < LEAST < 0.5 < values[-1] < 1


@pytest.mark.parametrize(("agreement", "low", "high"), [(0.1, 0, LEAST), (0.6, 0.95, 1)])
def test_what_chance_and_what_a_finger_reaches(agreement, low, high):
    assert low < probability(agreement) < high


def test_confidence_in_a_match_rises_within_0_and_1():
    found = match_probability(np.array([0.01, 0.1, 0.5, 0.9, 1.0]))
    assert (np.diff(found) > 0).all()
    assert (found > 0).all() and (found <= 1).all()
