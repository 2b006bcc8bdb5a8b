"""Light ridges on dark ground are found out, dark ones on any ground are left alone."""

import numpy as np
import pytest

from pipeline.imaging import preprocess
from pipeline.imaging.polarity import is_inverted, with_dark_ridges
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import STYLES

MASTER = synthesize_master(3, "polarity", 0)


def made_by(style):
    return synthesize_impression(MASTER, 3, "polarity", 0, 0, (style,))


def prepared(image, ppi=500):
    return preprocess.prepare(image, ppi, "print")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_dark_ridges_are_left_alone(style):
    impression = made_by(style)
    made = prepared(impression.image, impression.ppi)
    assert with_dark_ridges(made) is made


@pytest.mark.parametrize("style", STYLES[:2], ids=lambda style: style.name)
def test_an_inverted_print_is_turned_back(style):
    image = made_by(style).image
    plain, turned = prepared(image), prepared(255 - image)
    assert is_inverted(turned)
    assert np.array_equal(with_dark_ridges(turned).image, plain.image)


def test_a_print_that_fills_the_frame_is_left_alone():
    y, x = np.mgrid[:300, :300]
    waves = 128 + 100 * np.cos(2 * np.pi * np.hypot(x - 150, y - 400) / 9)
    assert not is_inverted(prepared(waves.astype(np.uint8)))
