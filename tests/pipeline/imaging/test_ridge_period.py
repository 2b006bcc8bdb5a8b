"""The ridge period of images of any resolution."""

import cv2
import numpy as np
import pytest
from prints import finger

from pipeline.imaging.ridge_period import ridge_period


@pytest.mark.parametrize("period", [3.5, 4.5, 6.0, 9.0, 12.0, 18.0, 24.0, 34.0])
def test_period_is_measured(period):
    size = int(min(900, 40 * period))
    assert ridge_period(finger(1, size, size, period=period)) == pytest.approx(period, rel=0.08)


@pytest.mark.parametrize(("light", "dark"), [(250, 30), (30, 250), (140, 100)])
def test_polarity_and_contrast_do_not_matter(light, dark):
    assert ridge_period(finger(2, 300, 300, light, dark)) == pytest.approx(9, rel=0.08)


def test_thin_ridges_are_not_taken_for_half_their_period():
    """Ridges thinner than their valleys, whose spectrum has strong harmonics."""
    image = finger(3, 600, 600, period=18.0)
    thin = cv2.dilate(image, np.ones((5, 5), np.uint8))
    assert ridge_period(thin) == pytest.approx(18, rel=0.12)


def test_tone_and_noise_do_not_matter():
    rng = np.random.default_rng(0)
    tone = 50 * np.sin(np.linspace(0, 6, 300))[:, None]
    image = finger(4, 300, 300, light=200, dark=80) + tone + rng.normal(0, 12, (300, 300))
    assert ridge_period(image.clip(0, 255).astype(np.uint8)) == pytest.approx(9, rel=0.08)


def test_images_without_ridges_have_none():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 400)).astype(np.float32)
    for image in (
        np.full((400, 400), 200),
        128 + 30 * noise,
        128 + 400 * cv2.GaussianBlur(noise, (0, 0), 6),
        np.add.outer(np.arange(400), np.arange(400)) / 4,
    ):
        assert ridge_period(image.clip(0, 255).astype(np.uint8)) is None


def test_small_and_narrow_images():
    """The least size that is read, and one in which only the smallest blocks fit."""
    assert ridge_period(np.ascontiguousarray(finger(5, 160, 160, period=4.5)[48:112, 48:112]))
    ridge_period(finger(5, 64, 2000))
