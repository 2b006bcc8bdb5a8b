"""Sensors: what each does to one and the same skin, and what is printed on a card."""

import cv2
import numpy as np
import pytest

from pipeline.synthesis import sensor
from pipeline.synthesis.sensor import CAPACITIVE, INK, OPTICAL, STYLES, draw

SIZE = (240, 240)


def print_of(height, style, seed=0, level=0.0):
    """The image of skin that is everywhere `height` half ridges over the threshold."""
    skin, pressed = (np.full(SIZE, value, np.float32) for value in (height, level))
    return draw(style, skin, pressed, np.random.default_rng(seed)).astype(np.float64)


def grain(image):
    """Deviation of what a low pass of 4 px takes away."""
    return (image - cv2.GaussianBlur(image, (0, 0), 4)).std()


def correlation(noise, x, y):
    """Of an image with itself (x, y) px away."""
    return np.corrcoef(noise[y:, x:].ravel(), noise[: SIZE[0] - y, : SIZE[1] - x].ravel())[0, 1]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_skin_that_touches_is_darker(style):
    for seed in range(8):
        assert print_of(1.0, style, seed).mean() + 15 < print_of(-2.0, style, seed).mean()


def test_optical_ground_is_saturated_and_ridges_are_speckled():
    """The air behind a valley gives more light than the converter tells."""
    grains = []
    for seed in range(8):
        valley, ridge = print_of(-2.0, OPTICAL, seed), print_of(1.0, OPTICAL, seed)
        assert (valley >= 253).mean() > 0.9
        grains.append(grain(ridge))
    assert 8 < np.median(grains) < 40
    assert max(grains) > 2 * min(grains)  # fingers and days differ


def test_optical_speckle_has_a_size():
    """Next px are alike and those 3 px away are not: a band, neither white noise nor clouds."""
    ridge = print_of(1.0, OPTICAL, 3)
    noise = ridge - cv2.GaussianBlur(ridge, (0, 0), 12)
    assert correlation(noise, 1, 0) > 0.5 and correlation(noise, 0, 1) > 0.5
    assert correlation(noise, 3, 0) < 0.15 and correlation(noise, 0, 3) < 0.15


def test_capacitive_ridges_stand_on_a_floor():
    """No ridge is darker than the floor, and most of it is near: the histogram is skewed."""
    for seed in range(4):
        ridge = print_of(1.0, CAPACITIVE, seed)
        low, middle, high = np.percentile(ridge, [1, 50, 99])
        assert low > 18 and middle < 50
        assert high - middle > 1.2 * (middle - low)


def test_capacitive_ground_is_noisy_px_by_px_and_by_columns():
    ground = print_of(-2.0, CAPACITIVE, 1, level=-9.0)
    noise = ground - cv2.GaussianBlur(ground, (0, 0), 4)
    assert 3 < noise.std() < 7
    assert 0.05 < correlation(noise, 0, 3) < 0.5  # a column has its own offset
    assert abs(correlation(noise, 2, 0)) < 0.1


def test_cards_are_printed_on_near_their_edges_and_at_times_in_the_print():
    drawn = np.array([sensor._card((440, 400), np.random.default_rng(k)) for k in range(200)])
    printed = drawn.any((1, 2)).mean()
    inside = drawn[:, 70:-70, 70:-70].any((1, 2)).mean()
    assert 0.75 < printed < 0.98
    assert 0.01 < inside < 0.15
    assert drawn.mean() < 0.03


def test_words_are_as_dark_as_print_and_differ():
    images = [print_of(-2.0, INK, seed, level=-9.0) for seed in range(12)]
    dark = [(image < 160).sum() for image in images]
    assert len({int(count) for count in dark if count}) > 5
