"""So many masters are so many fingers, by their minutiae."""

import numpy as np
import pytest
from constellations import constellation, once_more, shares, turned

from pipeline.synthesis.generate import synthesize_master


@pytest.fixture(scope="module")
def fingers():
    return [constellation(synthesize_master(1, "synthetic/many", k)) for k in range(10)]


def test_no_two_masters_are_one_finger(fingers):
    found = np.concatenate([shares(fingers[k], fingers[:k]) for k in range(1, len(fingers))])
    again = [shares(one, [once_more(one, np.random.default_rng(0))])[0] for one in fingers]
    assert found.max() < 0.3 < 0.5 < min(again)


def test_the_same_finger_is_known_wherever_it_lies(fingers):
    one = fingers[0]
    laid = [one, one + np.float32([40, -50]), turned(one, np.radians(7))]
    assert np.allclose(shares(one, laid), 1, atol=0.1)
    assert shares(one, [one[::2], np.concatenate([one, one + 1000])]) == pytest.approx(0.5, abs=0.1)
