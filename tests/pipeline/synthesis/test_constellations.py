"""Masters are different fingers, by the positions of their minutiae."""

import numpy as np
import pytest
from constellations import constellation, rotate, sample_again, similarities

from pipeline.synthesis.generate import synthesize_master


@pytest.fixture(scope="module")
def fingers():
    return [constellation(synthesize_master(1, "synthetic/many", k)) for k in range(10)]


def test_no_two_masters_are_one_finger(fingers):
    different = [similarities(fingers[k], fingers[:k]) for k in range(1, len(fingers))]
    same = [
        similarities(points, [sample_again(points, np.random.default_rng(0))])[0]
        for points in fingers
    ]
    assert np.concatenate(different).max() < 0.3 < 0.5 < min(same)


def test_similarity_of_a_finger_with_itself_does_not_depend_on_its_position(fingers):
    points = fingers[0]
    moved = [points, points + np.float32([40, -50]), rotate(points, np.radians(7))]
    assert np.allclose(similarities(points, moved), 1, atol=0.1)
    half, double = points[::2], np.concatenate([points, points + 1000])
    assert similarities(points, [half, double]) == pytest.approx(0.5, abs=0.1)
