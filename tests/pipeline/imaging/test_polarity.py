"""Light ridges on dark background are inverted, dark ones on any background are not changed."""

import numpy as np
import pytest

from pipeline.imaging import preprocess
from pipeline.imaging.polarity import is_inverted, with_dark_ridges
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import STYLES

MASTER = synthesize_master(3, "polarity", 0)


def impression_of(style):
    return synthesize_impression(MASTER, 3, "polarity", 0, 0, (style,))


def prepared(image, ppi=500):
    return preprocess.prepare(image, ppi, "print")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_dark_ridges_are_not_changed(style):
    impression = impression_of(style)
    plain = prepared(impression.image, impression.ppi)
    assert with_dark_ridges(plain) is plain


@pytest.mark.parametrize("style", STYLES[:2], ids=lambda style: style.name)
def test_inverted_impression_is_inverted_again(style):
    image = impression_of(style).image
    plain, inverted = prepared(image), prepared(255 - image)
    assert is_inverted(inverted)
    assert np.array_equal(with_dark_ridges(inverted).image, plain.image)


def test_impression_that_fills_the_image_is_not_changed():
    y, x = np.mgrid[:300, :300]
    waves = 128 + 100 * np.cos(2 * np.pi * np.hypot(x - 150, y - 400) / 9)
    assert not is_inverted(prepared(waves.astype(np.uint8)))
