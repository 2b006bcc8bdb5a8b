"""Sensors: grey levels of flat and striped skin, sampled ranges, and print on cards."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from pipeline.synthesis.sensor import (
    CAPACITIVE,
    GENERIC,
    INK,
    OPTICAL,
    STYLES,
    THERMAL,
    VIGNETTED,
    render_image,
    synthesize_image,
)

SIZE = (240, 240)


def flat_image(height, style, seed=0, pressure=0.0):
    """Image of skin that is everywhere `height` half ridge heights over the surface."""
    skin, pressures = np.full(SIZE, height, np.float32), np.full(SIZE, pressure, np.float32)
    return synthesize_image(style, skin, pressures, np.random.default_rng(seed)).astype(np.float64)


def grain(image):
    """Deviation of the image after a high pass of 4 px."""
    return (image - cv2.GaussianBlur(image, (0, 0), 4)).std()


def correlation(noise, x, y):
    """Correlation of an image with itself shifted by (x, y) px."""
    return np.corrcoef(noise[y:, x:].ravel(), noise[: SIZE[0] - y, : SIZE[1] - x].ravel())[0, 1]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_skin_that_touches_is_darker(style):
    for seed in range(8):
        assert flat_image(1.0, style, seed).mean() + 15 < flat_image(-2.0, style, seed).mean()


def test_optical_ground_is_saturated_and_ridges_are_speckled():
    """Air behind a valley gives more light than the converter's range."""
    grains = []
    for seed in range(8):
        valley, ridge = flat_image(-2.0, OPTICAL, seed), flat_image(1.0, OPTICAL, seed)
        assert (valley >= 253).mean() > 0.9
        grains.append(grain(ridge))
    assert 8 < np.median(grains) < 40
    assert max(grains) > 2 * min(grains)  # images differ


def test_optical_speckle_has_a_size():
    """Neighbouring px correlate and those at 3 px do not: a band, not white noise nor clouds."""
    ridge = flat_image(1.0, OPTICAL, 3)
    noise = ridge - cv2.GaussianBlur(ridge, (0, 0), 12)
    assert correlation(noise, 1, 0) > 0.5 and correlation(noise, 0, 1) > 0.5
    assert correlation(noise, 3, 0) < 0.15 and correlation(noise, 0, 3) < 0.15


def test_capacitive_ridges_are_limited_by_a_floor():
    """No ridge is darker than the floor and a pressed one is close to it: a skewed histogram."""
    skews = []
    for seed in range(12):
        ridge = flat_image(1.0, CAPACITIVE, seed, pressure=0.5)
        low, middle, high = np.percentile(ridge, [1, 50, 99])
        assert low > 18 and middle < 60
        skews.append((high - middle) / (middle - low))
    assert np.median(skews) > 1.2


@pytest.mark.parametrize("tone", [40.0, 150.0])
def test_capacitive_ridges_are_darker_than_their_ground(tone):
    """Also of lightly pressed skin, and where the finger shades the cells."""
    sensor = CAPACITIVE.sample(np.random.default_rng(0))
    sensor = replace(sensor, ground=130.0, shade=60.0, reach=0.0, tone=tone, speckle=1.0)
    pressure, greys = np.full(SIZE, -2.0, np.float32), []
    for height in (2.0, -5.0):
        skin = np.full(SIZE, height, np.float32)
        image = render_image(sensor, 500, skin, pressure, np.random.default_rng(1))
        greys.append(np.median(image))
    assert 28 < greys[1] - greys[0] < 32


def test_capacitive_ground_is_noisy_px_by_px_and_by_columns():
    ground = flat_image(-2.0, CAPACITIVE, 1, pressure=-9.0)
    noise = ground - cv2.GaussianBlur(ground, (0, 0), 4)
    assert 3 < noise.std() < 7
    assert 0.05 < correlation(noise, 0, 3) < 0.5  # a column has its own offset
    assert abs(correlation(noise, 2, 0)) < 0.1


def pair_shift(image, axis):
    """Shift px along `axis` of odd lines from the middle between their neighbours.

    A line's difference from the mean of both neighbours, regressed on the slope between these.
    """
    image = np.moveaxis(image, axis, 0)
    difference = image[1:-1] - (image[:-2] + image[2:]) / 2
    slope = (image[2:] - image[:-2]) / 2
    shares = [(difference * slope)[k::2].sum() / (slope**2)[k::2].sum() for k in (0, 1)]
    return (shares[0] - shares[1]) / 4  # neighbours are shifted the other way


@pytest.mark.parametrize(("style", "down", "right"), [(CAPACITIVE, 0.215, -0.085), (OPTICAL, 0, 0)])
def test_capacitive_cells_lie_in_pairs(style, down, right):
    """As in FVC2002 DB3_B, everywhere and in every image, but not in DB1_B.

    Shifted by 0.19 px and 0.075 px, to which the sharpening adds its gain of fine detail.
    """
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    skin = (1.2 * np.sin(0.6 * x) * np.sin(0.6 * y)).astype(np.float32)
    pressure = np.zeros(SIZE, np.float32)
    images = [synthesize_image(style, skin, pressure, np.random.default_rng(k)) for k in range(40)]
    mean = np.mean(images, 0)  # without the noise of each, which would hide half of it
    assert pair_shift(mean, 0) == pytest.approx(down, abs=0.015)
    assert pair_shift(mean, 1) == pytest.approx(right, abs=0.015)


def test_video_fields_are_amplified_as_recorded():
    """Even and odd lines differ by an offset and by a share of the grey."""
    sensor = OPTICAL.sample(np.random.default_rng(0))
    sensor = replace(sensor, field_offset=1.5, field_gain=0.02, tone=100.0, speckle=1.0)
    skin, pressure = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)
    image = render_image(sensor, 500, skin, pressure, np.random.default_rng(1)).astype(float)
    expected = 2 * (1.5 + 0.02 * (image.mean() - 60))
    assert image[::2].mean() - image[1::2].mean() == pytest.approx(expected, abs=0.15)


def test_words_are_dark_and_differ():
    images = [flat_image(-2.0, INK, seed, pressure=-9.0) for seed in range(12)]
    dark = [(image < 160).sum() for image in images]
    assert len({int(count) for count in dark if count}) > 5


RANGES = {  # limits of all samples: those of the distribution, or of plausible images
    OPTICAL: {
        "steepness": (3, 14),
        "tone": (-20, 150),
        "speckle": (1, 130),
        "white": (255, 300),
        "blur": (0.5, 1.5),
        "sharpening": (0, 1),
        "noise": (0.2, 10),
        "field_offset": (-4, 4),
        "field_gain": (-0.06, 0.06),
    },
    CAPACITIVE: {
        "ground": (100, 180),
        "shade": (-20, 100),
        "rough": (0, 0.8),
        "reach": (0.015, 0.67),
        "tone": (5, 75),
        "speckle": (0, 30),
        "floor": (25, 36),
    },
    VIGNETTED: {
        "fall": (0.3, 1.3),
        "ground": (130, 215),
        "shade": (-15, 30),
        "depth": (0.3, 0.7),
        "steepness": (2.5, 6),
        "blur": (0.6, 1.0),
        "noise": (1, 3),
    },
    THERMAL: {
        "grain": (0.25, 0.6),
        "rough": (0.2, 0.5),
        "steepness": (3, 6),
        "ground": (175, 235),
        "tone": (25, 80),
        "blur": (0.35, 0.6),
        "noise": (4, 9),
    },
    INK: {
        "load": (-2, 2.2),
        "bare": (0.15, 0.7),
        "steepness": (2.5, 5),
        "paper": (185, 245),
        "fibres": (1, 5),
        "black": (20, 95),
        "print": (40, 150),
        "blur": (1.2, 2.2),
        "noise": (2, 8),
    },
    GENERIC: {
        "steepness": (1.5, 6),
        "ground": (90, 250),
        "tone": (0.1, 0.65),
        "pressed": (0, 0.15),
        "blur": (0.4, 1.4),
        "gamma": (0.2, 5),
        "noise": (0, 7),
    },
}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_samples_stay_in_their_ranges_and_differ(style):
    sampled = [style.sample(np.random.default_rng(k)) for k in range(400)]
    numbers = {f.name for f in fields(sampled[0]) if isinstance(getattr(sampled[0], f.name), float)}
    assert numbers == RANGES[style].keys()
    for name, (least, most) in RANGES[style].items():
        values = [getattr(sensor, name) for sensor in sampled]
        assert least <= min(values) and max(values) <= most
        assert len(set(values)) > 100  # cut distributions repeat their limits


class FieldGenerator:
    """A generator that refuses to sample a single number."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __getattr__(self, name):
        def sample(*args):
            values = getattr(self.rng, name)(*args)
            assert np.ndim(values) > 0, f"{name}{args} is not a field of noise"
            return values

        return sample


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_rendering_samples_only_noise_fields(style):
    """Otherwise a property of the image would be missing in its record."""
    for seed in range(4):
        sensor = style.sample(np.random.default_rng(seed))
        skin = np.full(SIZE, 0.2, np.float32)
        image = render_image(sensor, style.ppi, skin, 0 * skin, FieldGenerator(seed))
        again = render_image(sensor, style.ppi, skin, 0 * skin, np.random.default_rng(seed))
        assert np.array_equal(image, again)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_each_sampled_number_changes_the_image(style):
    """A recorded number without effect would be useless."""
    skin = np.tile(np.sin(np.arange(240) / 1.4).astype(np.float32), (240, 1))
    sensor = style.sample(np.random.default_rng(0))

    def image(**changed):
        noise = np.random.default_rng(1)
        return render_image(replace(sensor, **changed), style.ppi, skin, 0.3 * skin.T, noise)

    plain = image()
    for name, ends in RANGES[style].items():
        assert any(not np.array_equal(image(**{name: float(end)}), plain) for end in ends), name
