"""Degradations: polarity, strength and reproducibility, measured on synthetic ridges."""

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline import degradation
from pipeline.degradation import Morphology, SensorNoise, Window

KINDS = ("sensor", "dryness", "pressure")


def sampled(kind, seed=0):
    return degradation.sample(kind, np.random.default_rng(seed))


def ridge_width(image, level=None):
    """Mean width of the dark ridges along the middle row, px, at the level of half contrast."""
    row = image[image.shape[0] // 2].astype(float)
    level = (row.max() + row.min()) / 2 if level is None else level
    dark = np.concatenate([[0], row < level, [0]])
    return dark.sum() / max(1, (np.diff(dark) == 1).sum())


def contrast(image, inside):
    """Deviation of the ridges against their surroundings, within the finger."""
    soft = image.astype(np.float32)
    detail = cv2.GaussianBlur(soft, (0, 0), 1.5) - cv2.GaussianBlur(soft, (0, 0), 8)
    return detail[inside].std()


# --- polarity ---------------------------------------------------------------------------------


@pytest.mark.parametrize("square", [False, True])
def test_dryness_thins_ridges_and_pressure_thickens_them(square):
    """Ridges are dark: at full strength each side of a ridge moves by one px."""
    image, _ = ridges(300, 300)
    before = ridge_width(image)
    dry, pressed = (
        ridge_width(degradation.apply(image, Morphology(k, 1.0, square))) for k in KINDS[1:]
    )
    assert before - dry == pytest.approx(2, abs=0.6)
    assert pressed - before == pytest.approx(2, abs=0.6)


@pytest.mark.parametrize("seed", range(8))
def test_every_sampled_strength_has_the_polarity(seed):
    """Dryness makes no px darker, and over-pressure makes no px lighter."""
    image, inside = ridges(300, 300)
    dry, pressed = (degradation.apply(image, sampled(kind, seed)) for kind in KINDS[1:])
    assert (dry >= image).all() and (pressed <= image).all()
    assert dry[inside].mean() > image[inside].mean() + 5
    assert pressed[inside].mean() < image[inside].mean() - 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("period", [7.5, 9.3])
def test_no_degradation_destroys_the_ridges(kind, period):
    """Ridges keep contrast and position: morphology is applied at 500 ppi, not at 128 px."""
    image, inside = ridges(300, 300, period=period)
    for seed in range(6):
        degraded = degradation.apply(image, sampled(kind, seed))
        assert contrast(degraded, inside) > 0.3 * contrast(image, inside)
        assert np.corrcoef(degraded[inside], image[inside])[0, 1] > 0.7


# --- sensor noise -----------------------------------------------------------------------------


WINDOW = Window(1, 0.3, 0.6)


def sensor(mottle, grain, window=WINDOW):
    """Sensor noise whose mottle has a first period of 49.4 px."""
    return SensorNoise(window, window, mottle, grain)


def flat(grey=128):
    """A flat image; black and white bands at two edges give a deviation that scales the noise."""
    image = np.full((416, 416), grey, np.uint8)
    image[:40], image[-40:] = 0, 255
    return image


def test_sensor_noise_is_gradient_noise_and_not_resized_white_noise():
    """Grain has its power around its period; resized white noise has most at low frequency."""
    grain = degradation.apply(flat(), sensor(0.0, 1.0))[60:316, 60:316].astype(float)
    power = np.abs(np.fft.fft2(grain - grain.mean())) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    density = [power[(f > low) & (f <= low + 0.04)].mean() for low in (0.0, 0.04, 0.12, 0.2, 0.36)]
    assert max(density) in density[2:4]
    assert density[0] < 0.3 * max(density)  # the maximum of resized white noise
    assert density[-1] < 0.1 * max(density)


def test_grain_is_isotropic():
    grain = degradation.apply(flat(), sensor(0.0, 1.0))[60:316, 60:316].astype(np.float32)
    power = np.abs(np.fft.fft2(grain - grain.mean())) ** 2
    y, x = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij")
    band = (np.hypot(x, y) > 0.1) & (np.hypot(x, y) < 0.3)
    sector = (np.degrees(np.arctan2(y, x)) % 180 // 30).astype(int)
    shares = np.array([power[band & (sector == k)].mean() for k in range(6)])
    assert shares.max() < 2 * shares.min()


def test_mottle_has_octaves():
    """Contrast varies over the first octave's period and over a quarter of it."""
    stripes = np.tile(np.where(np.arange(416) % 2, 228, 28).astype(np.uint8), (416, 1))
    degraded = degradation.apply(stripes, sensor(0.875, 0.0)).astype(np.float32)
    field = np.abs(degraded[:, ::2] - degraded[:, 1::2])
    power = np.abs(np.fft.fft(field - field.mean(), axis=0)).mean(1)[1:208] ** 2
    period = 416 / np.arange(1, 208)
    first, third = (
        power[(period > 32) & (period < 90)].mean(),
        power[(period > 9) & (period < 16)].mean(),
    )
    assert 0.001 * first < third < first


def test_samples_use_different_noise():
    """200 samples use 200 different windows, and fields are uncorrelated."""
    samples = [sampled("sensor", seed) for seed in range(200)]
    assert len({(s.grain_window, s.mottle_window) for s in samples}) == 200
    assert {s.grain_window.field for s in samples} == set(range(degradation.DEFAULT.fields))
    ends = [
        sensor(0.0, 1.0, Window(field, 0.0, 0.0)) for field in range(degradation.DEFAULT.fields)
    ]
    ends.append(sensor(0.0, 1.0, Window(0, 1.0, 1.0)))
    grain = [degradation.apply(flat(), p)[60:316, 60:316].astype(float).ravel() for p in ends]
    assert np.abs(np.corrcoef(grain) - np.eye(len(grain))).max() < 0.1


def test_a_field_is_larger_than_any_image():
    large = np.tile(flat(), (2, 2))[:, :700]
    for position in (0.0, 0.999):
        window = Window(0, position, position)
        assert degradation.apply(large, sensor(0.5, 0.5, window)).shape == (832, 700)


def test_noise_follows_the_contrast_of_the_image():
    """A low-contrast image gets less noise, so that its ridges stay visible."""
    strong, faint = ridges(300, 300)[0], ridges(300, 300, light=110, dark=60)[0]
    params = sensor(0.0, 0.8)
    changes = [
        np.std(degradation.apply(i, params).astype(float) - i) / i.std() for i in (strong, faint)
    ]
    assert changes[0] == pytest.approx(changes[1], rel=0.4)


# --- sampling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_bytes_and_another_seed_others(kind):
    image, _ = ridges(300, 290)
    first = degradation.apply(image, sampled(kind, 7))
    assert np.array_equal(first, degradation.apply(image, sampled(kind, 7)))
    assert not np.array_equal(first, degradation.apply(image, sampled(kind, 8)))


@pytest.mark.parametrize("part", [(0, 300, 0, 290), (0, 40, 250, 290), (17, 211, 3, 99)])
@pytest.mark.parametrize("kind", (*KINDS, "none"))
def test_part_equals_the_part_of_the_full_result(kind, part):
    image, _ = ridges(300, 290)
    top, bottom, left, right = part
    degraded = degradation.apply(image, sampled(kind), (slice(top, bottom), slice(left, right)))
    assert np.array_equal(degraded, degradation.apply(image, sampled(kind))[top:bottom, left:right])


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_do_not_depend_on_the_cpu(kind):
    """The bytes are the same without OpenCV's processor-specific code."""
    image, _ = ridges(300, 290)
    fast = degradation.apply(image, sampled(kind))
    cv2.setUseOptimized(False)
    try:
        plain = degradation.apply(image, sampled(kind))
    finally:
        cv2.setUseOptimized(True)
    assert np.array_equal(fast, plain)


def test_input_image_is_not_changed():
    image, _ = ridges(300, 300)
    copy = image.copy()
    for kind in (*KINDS, "none"):
        degradation.apply(image, sampled(kind))
    assert np.array_equal(image, copy)


def test_none_and_unknown_kinds():
    assert sampled("none") is None
    with pytest.raises(ValueError, match="'snow': expected"):
        sampled("snow")
