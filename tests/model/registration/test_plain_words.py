"""What the page and the plot say about a registration."""

import numpy as np
import pytest

from model.registration import plain_words
from model.registration.result import Registration, empty_registration
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import apply_affine, pixel_grid, rotation

RESOLUTIONS = ImageResolution(500.0, "option"), ImageResolution(1000.0, "tag: pHYs")


def register(score=0.987, degrees=-24, **values):
    """A registration whose map covers the left half of A, 100×80 px."""
    angle = np.radians(degrees)
    map_ab = apply_affine(rotation(angle, (40, 50)), pixel_grid(100, 80)).astype(np.float32)
    map_ab[:, 40:] = np.nan
    matches = np.array([[1, 2, 3, 4, p] for p in (0.5, 0.8, 0.9)], np.float32)
    return Registration(map_ab, score, matches, angle, RESOLUTIONS, (100, 80), **values)


def test_sentences_on_a_map():
    sentences = plain_words.describe(register(), finger_area=5000.0)
    assert sentences[:3] == [
        "Same finger: 0.99",
        "80 % of A is seen in B",
        "B is turned by 24° clockwise",
    ]
    assert "skin moved by 0.0 px of B on average" in sentences[3]
    assert sentences[4] == "3 matches; half of them are right with a probability of 0.80 or more"
    assert sentences[5:] == [
        "Resolution of A: 500 ppi (option)",
        "Resolution of B: 1000 ppi (tag: pHYs)",
    ]
    assert plain_words.describe(register())[1] == "50 % of A's frame is seen in B"


@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        (24, "turned by 24° counter-clockwise"),
        (0.2, "not turned"),
        (-90, "turned by 90° clockwise"),
    ],
)
def test_rotation(degrees, words):
    assert f"B is {words}" in plain_words.describe(register(degrees=degrees))


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.9999, "above 0.99"), (0.5, "0.50"), (0.0001, "below 0.01"), (0.994, "0.99")],
)
def test_no_score_is_certain(score, words):
    assert plain_words.summary(register(score))[0] == f"same finger: {words}"


def test_polarity_and_missing_calibration_are_stated():
    sentences = plain_words.describe(register(opposite_polarity=True, calibrated=False))
    assert sentences[0] == "Score (uncalibrated): 0.99"
    assert sentences[-2].startswith("Ridges are dark in one file")
    assert "no probabilities" in sentences[-1]


def test_the_reason_for_no_map_is_stated():
    registration = empty_registration(
        (9, 8), 0.01, RESOLUTIONS, (9, 8), True, "the ridges agree too little"
    )
    assert "No map: the ridges agree too little" in plain_words.describe(registration)
    assert plain_words.summary(registration) == [
        "same finger: 0.01",
        "no map: the ridges agree too little",
    ]
