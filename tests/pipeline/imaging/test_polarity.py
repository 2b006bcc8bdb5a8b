"""The background beside a finger shows whether its ridges are dark or light, or nothing does."""

import numpy as np
import pytest
from prints import finger

from pipeline.imaging import preprocess
from pipeline.imaging.polarity import Polarity, negative, polarity
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import STYLES

MASTER = synthesize_master(3, "polarity", 0)


def impression_of(style):
    return synthesize_impression(MASTER, 3, "polarity", 0, 0, (style,))


def prepared(image, ppi=500):
    return preprocess.prepare(image, ppi, "print")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_dark_ridges_are_not_taken_for_light_ones(style):
    impression = impression_of(style)
    assert polarity(prepared(impression.image, impression.ppi)) is not Polarity.LIGHT


@pytest.mark.parametrize("style", STYLES[:2], ids=lambda style: style.name)
def test_whole_impression_is_decided(style):
    image = impression_of(style).image
    plain, inverted = prepared(image), prepared(255 - image)
    assert polarity(plain) is Polarity.DARK
    assert polarity(inverted) is Polarity.LIGHT
    assert np.array_equal(negative(inverted).image, plain.image)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [150, 180])
def test_ridges_that_fill_the_image_decide_nothing(seed, size):
    """Neither as they are nor inverted, whatever the few px beside the foreground show."""
    image = finger(seed, 2 * size, 2 * size, period=8.5)[size // 2 :, size // 2 :][:size, :size]
    image = np.ascontiguousarray(image)
    assert polarity(prepared(image)) is Polarity.UNDECIDED
    assert polarity(prepared(255 - image)) is Polarity.UNDECIDED


@pytest.mark.parametrize(
    ("ground", "expected"),
    [(30, Polarity.LIGHT), (120, Polarity.UNDECIDED), (250, Polarity.DARK)],
)
def test_background_between_ridges_and_valleys_decides_nothing(ground, expected):
    image = finger(0, 300, 300)
    corners = np.hypot(*np.meshgrid(np.linspace(-1, 1, 300), np.linspace(-1, 1, 300))) > 0.85
    assert polarity(prepared(np.where(corners, ground, image).astype(np.uint8))) is expected


def under_uneven_light(dark, fall):
    """A finger under a lens whose image is darker by `fall` in the middle of each side."""
    image = finger(0, 300, 300, light=200, dark=dark).astype(np.float32)
    distance = np.hypot(*np.meshgrid(np.linspace(-1, 1, 300), np.linspace(-1, 1, 300)))
    return (image * (1 - fall * distance**2)).astype(np.uint8)


def test_dark_corners_are_no_sign_of_light_ridges():
    """The background is darker than most ridges, but not than those beside it."""
    assert polarity(prepared(under_uneven_light(150, 0.35))) is not Polarity.LIGHT


def test_slightly_uneven_light_does_not_hinder_the_decision():
    image = under_uneven_light(120, 0.2)
    assert polarity(prepared(image)) is Polarity.DARK
    assert polarity(prepared(255 - image)) is Polarity.LIGHT
