"""Sensors: what each does to one and the same skin, and what is printed on a card."""

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
from pipeline.synthesis.sensors.card import FONTS, WORDS, Line, Word, sample_card

SIZE = (240, 240)
KINDS, BOTH = ("lines", "words"), {False, True}


def print_of(height, style, seed=0, level=0.0):
    """The image of skin that is everywhere `height` half ridges over the threshold."""
    skin, pressed = (np.full(SIZE, value, np.float32) for value in (height, level))
    return synthesize_image(style, skin, pressed, np.random.default_rng(seed)).astype(np.float64)


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
    """None is darker than the floor, and most of a pressed one is near: a skewed histogram."""
    skews = []
    for seed in range(12):
        ridge = print_of(1.0, CAPACITIVE, seed, level=0.5)
        low, middle, high = np.percentile(ridge, [1, 50, 99])
        assert low > 18 and middle < 60
        skews.append((high - middle) / (middle - low))
    assert np.median(skews) > 1.2


@pytest.mark.parametrize("tone", [40.0, 150.0])
def test_capacitive_ridges_are_darker_than_their_ground(tone):
    """However lightly the skin touches, and however much the finger shades the cells."""
    sensor = CAPACITIVE.sample(np.random.default_rng(0))
    sensor = replace(sensor, ground=130.0, shade=60.0, reach=0.0, tone=tone, speckle=1.0)
    level = np.full(SIZE, -2.0, np.float32)
    ridge, bare = (
        render_image(sensor, 500, np.full(SIZE, skin, np.float32), level, np.random.default_rng(1))
        for skin in (2.0, -5.0)
    )
    assert 28 < np.median(bare) - np.median(ridge) < 32


def test_capacitive_ground_is_noisy_px_by_px_and_by_columns():
    ground = print_of(-2.0, CAPACITIVE, 1, level=-9.0)
    noise = ground - cv2.GaussianBlur(ground, (0, 0), 4)
    assert 3 < noise.std() < 7
    assert 0.05 < correlation(noise, 0, 3) < 0.5  # a column has its own offset
    assert abs(correlation(noise, 2, 0)) < 0.1


def displaced(image, axis):
    """Px by which odd lines across `axis` see farther along it than halfway between their next.

    What is above the mean of the two next ones, regressed on the slope between these.
    """
    image = np.moveaxis(image, axis, 0)
    above = image[1:-1] - (image[:-2] + image[2:]) / 2
    slope = (image[2:] - image[:-2]) / 2
    shares = [(above * slope)[k::2].sum() / (slope**2)[k::2].sum() for k in (0, 1)]
    return (shares[0] - shares[1]) / 4  # the next ones see as far to the other side


@pytest.mark.parametrize(("style", "down", "right"), [(CAPACITIVE, 0.215, -0.085), (OPTICAL, 0, 0)])
def test_capacitive_cells_lie_in_pairs(style, down, right):
    """As those of FVC2002 DB3_B do, all over and in every image; those of DB1_B do not.

    By 0.19 px and 0.075 px, of which the sharpening makes as much more as it adds to fine detail.
    """
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    skin = (1.2 * np.sin(0.6 * x) * np.sin(0.6 * y)).astype(np.float32)
    level = np.zeros(SIZE, np.float32)
    images = [synthesize_image(style, skin, level, np.random.default_rng(k)) for k in range(40)]
    seen = np.mean(images, 0)  # without the noise of each, which would hide half of it
    assert displaced(seen, 0) == pytest.approx(down, abs=0.015)
    assert displaced(seen, 1) == pytest.approx(right, abs=0.015)


def test_video_fields_are_amplified_as_the_record_says():
    """Even lines over odd ones, by an offset and by a share of the grey."""
    sensor = OPTICAL.sample(np.random.default_rng(0))
    sensor = replace(sensor, field_offset=1.5, field_gain=0.02, tone=100.0, speckle=1.0)
    skin, level = (np.full(SIZE, value, np.float32) for value in (1.0, 0.0))
    image = render_image(sensor, 500, skin, level, np.random.default_rng(1)).astype(float)
    expected = 2 * (1.5 + 0.02 * (image.mean() - 60))
    assert image[::2].mean() - image[1::2].mean() == pytest.approx(expected, abs=0.15)


def test_cards_are_printed_on_near_their_edges_and_at_times_in_the_print():
    drawn = np.array(
        [sample_card(np.random.default_rng(k)).print_mask((880, 800)) for k in range(200)]
    )
    printed = drawn.any((1, 2)).mean()
    inside = drawn[:, 140:-140, 140:-140].any((1, 2)).mean()
    assert 0.75 < printed < 0.98
    assert 0.01 < inside < 0.15
    assert drawn.mean() < 0.03


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_lines_run_along_their_edge(upright, turned):
    """From edge to edge, as far inside as they are said to be, at either end."""
    drawing = np.zeros((300, 200), np.uint8)
    Line(upright, turned, inside=20, tilt=4, weight=1).print_on(drawing)
    across = drawing if upright else drawing.T
    assert (across.sum(1) == 1).all()
    start, end = (np.flatnonzero(across[k])[0] for k in ((-1, 0) if turned else (0, -1)))
    if turned:
        start, end = across.shape[1] - 1 - start, across.shape[1] - 1 - end
    assert start == 20 and abs(end - 24) <= 1


@pytest.mark.parametrize("upper", [False, True])
def test_words_lie_where_they_are_said_to(upper):
    """As far from their edge, and over the frame by 30 % of themselves at the ends."""
    shares = []
    for along in (0.0, 0.5, 1.0):
        drawing = np.zeros((300, 400), np.uint8)
        Word("PLAIN", FONTS[0], 1.0, 1, upper, 10.0, along).print_on(drawing)
        rows = np.flatnonzero(drawing.any(1))
        assert 9 <= (rows[0] if upper else 299 - rows[-1]) <= 18  # lower letters may hang
        shares.append(drawing.sum())
    assert 0.5 < shares[0] / shares[1] < 0.9 and 0.5 < shares[2] / shares[1] < 0.9


def test_words_are_as_dark_as_print_and_differ():
    images = [print_of(-2.0, INK, seed, level=-9.0) for seed in range(12)]
    dark = [(image < 160).sum() for image in images]
    assert len({int(count) for count in dark if count}) > 5


RANGES = {  # what no sample leaves: bounds of the law, or where a print would look like none
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
        assert len(set(values)) > 100  # where a law is cut, many are alike


def test_cards_stay_in_their_ranges():
    cards = [sample_card(np.random.default_rng(k)) for k in range(400)]
    lines, words = ([mark for card in cards for mark in getattr(card, kind)] for kind in KINDS)
    for count in (len(lines), len(words)):
        assert abs(count / len(cards) - 1) < 0.15  # none, one or two of either
    assert {(line.upright, line.turned) for line in lines} == {(a, b) for a in BOTH for b in BOTH}
    assert {line.inside for line in lines} == set(range(8, 60))
    assert {line.tilt for line in lines} == set(range(-8, 9))
    assert {line.weight for line in lines} == set(range(2, 7))
    assert {word.text for word in words} == set(WORDS)
    assert {word.font for word in words} == set(FONTS)
    assert {word.weight for word in words} == {2, 3, 4} and {word.upper for word in words} == BOTH
    assert all(0.8 <= word.scale <= 2.2 and 0 <= word.along <= 1 for word in words)
    assert min(word.inside for word in words) >= 6
    assert 0.01 < np.mean([word.inside > 126 for word in words]) < 0.1


class Fields:
    """A generator that refuses to draw a single number."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __getattr__(self, name):
        def drawn(*args):
            values = getattr(self.rng, name)(*args)
            assert np.ndim(values) > 0, f"{name}{args} is no field of noise"
            return values

        return drawn


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_once_sampled_nothing_is_drawn_but_noise(style):
    """Else there would be something about the image that the record does not tell."""
    for seed in range(4):
        sensor = style.sample(np.random.default_rng(seed))
        skin = np.full(SIZE, 0.2, np.float32)
        image, again = (
            render_image(sensor, style.ppi, skin, 0 * skin, rng)
            for rng in (Fields(seed), np.random.default_rng(seed))
        )
        assert np.array_equal(image, again)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_each_number_sampled_is_seen_in_the_image(style):
    """A field of the record that changed nothing would be idle."""
    skin = np.tile(np.sin(np.arange(240) / 1.4).astype(np.float32), (240, 1))
    sensor = style.sample(np.random.default_rng(0))

    def image(**changed):
        noise = np.random.default_rng(1)
        return render_image(replace(sensor, **changed), style.ppi, skin, 0.3 * skin.T, noise)

    plain = image()
    for name, ends in RANGES[style].items():
        assert any(not np.array_equal(image(**{name: float(end)}), plain) for end in ends), name
