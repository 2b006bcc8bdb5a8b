"""Ridges brought onto ridges, against analytic warps."""

import cv2
import numpy as np
import pytest

from model.registration import ridge_alignment
from model.registration.deformation import Deformation, NodeGrid
from model.registration.ridge_correlation import DEFAULT, correlate, ridge_correlation
from model.registration.ridge_image import ridge_image
from pipeline.imaging.warp import (
    Warp,
    apply_affine,
    invert_affine,
    pixel_grid,
    random_control,
    rotation,
)

SHAPE = (300, 320)
CENTRE = (160.0, 150.0)
PLAIN = Warp(rotation(0.0, CENTRE))


def ridges(seed, shape=SHAPE, period=9.0):
    """Band-limited noise: ridges of one period with endings, uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), indexing="ij"))
    band = np.exp(-(((f - 1 / period) / 0.012) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) * band).real
    return (130 + 90 * np.tanh(2 * field / field.std())).astype(np.uint8)


def texture(image):
    mask = np.hypot(*np.moveaxis((pixel_grid(*SHAPE) - CENTRE) / (130, 120), -1, 0)) < 1
    return ridge_image(image, mask)


def seen(a):
    return cv2.erode(cv2.resize(a.mask, SHAPE[::-1]), np.ones((25, 25))) > 0.5


def pair(elastic=5.0, seed=0):
    """Textures A, B and the warp B px → A px."""
    rng = np.random.default_rng(seed)
    control, origin = random_control(rng, SHAPE, 90.0, elastic, 0.3)
    warp = Warp(rotation(0.4, CENTRE, (6, -4)), control, 90.0, origin)
    a = ridges(seed)
    b = cv2.remap(a, *np.moveaxis(warp.dense(*SHAPE).astype(np.float32), -1, 0), cv2.INTER_CUBIC)
    b = np.clip(b.astype(float) * 0.6 + 70 + rng.normal(0, 15, SHAPE), 0, 255).astype(np.uint8)
    return texture(a), texture(b), warp


def start(matrix):
    rows, columns = (extent // NodeGrid().spacing + 3 for extent in SHAPE)
    return Deformation(matrix, np.zeros((rows, columns, 2)), np.ones(0, bool))


def error(found, warp, a):
    points = pixel_grid(*SHAPE)[seen(a)][::37]
    return np.hypot(*(found(points) - warp.inverse(points)).T)


def alone(found, a, b, window, reach):
    view = correlate(found, a, b, window, reach)
    shifts = ridge_alignment.choose_shifts_singly(view)
    return ridge_alignment.matches_from_shifts(found, view, shifts)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_few_px_become_a_fraction_of_one(seed):
    """From the rotation alone, wrong by the elastic distortion and a shift."""
    a, b, warp = pair(seed=seed)
    first = start(invert_affine(rotation(0.43, CENTRE, (8, -6))))
    found, agreed = ridge_alignment.align_ridges(first, a, b)
    assert np.median(error(first, warp, a)) > 3
    assert np.median(error(found, warp, a)) < 0.35
    assert np.quantile(error(found, warp, a), 0.95) < 1.5
    assert agreed > 0.6 > 0.4 > ridge_correlation(first, a, b)


def test_what_is_right_stays():
    a, b, warp = pair(elastic=0.0)
    right = start(invert_affine(warp.matrix))
    found, _ = ridge_alignment.align_ridges(right, a, b)
    assert error(found, warp, a).max() < 0.5


def test_other_ridges_do_not_agree():
    a, b = texture(ridges(0)), texture(ridges(7))
    same, other = start(PLAIN.matrix), start(PLAIN.matrix)
    assert ridge_alignment.align_ridges(same, a, a)[1] > 0.95
    assert ridge_alignment.align_ridges(other, a, b)[1] < 0.35


def test_little_overlap_agrees_little():
    a = texture(ridges(0))
    away = start(rotation(0.0, CENTRE, (400, 0)))
    assert ridge_correlation(away, a, a) == 0
    band = np.zeros(SHAPE, bool)
    band[130:170, 130:190] = True
    small = ridge_image(ridges(0), band)
    assert 0 < ridge_correlation(start(PLAIN.matrix), small, small) < 0.35


def test_shifts_find_a_known_shift_below_the_px():
    """B shows what A shows 2.6 px further right and 1.3 px further up."""
    image = ridges(3)
    moved = cv2.warpAffine(image, np.array([[1, 0, 2.6], [0, 1, -1.3]]), SHAPE[::-1])
    a, b = texture(image), texture(moved)
    found = alone(start(PLAIN.matrix), a, b, 16.0, 6)
    inner = np.hypot(*((found[:, :2] - CENTRE) / (100, 90)).T) < 1
    move = (found[:, 2:4] - found[:, :2])[inner]
    assert np.abs(np.median(move, 0) - (2.6, -1.3)).max() < 0.15
    assert move.std(0).max() < 0.3


def cut(left):
    """A texture that shows ridges from column `left` on, up to the frame on all sides."""
    image = ridges(5, (SHAPE[0], SHAPE[1] + 60))[:, left : left + SHAPE[1]]
    return ridge_image(image, np.ones(SHAPE, bool))


def test_correlation_is_bounded_up_to_the_frame():
    view = correlate(start(PLAIN.matrix), cut(0), cut(30), 24.0, 16)
    assert np.abs(view.by_shift).max() < 1 + 1e-4


@pytest.mark.parametrize("wrong", [(3.0, -4.0), (-5.0, 3.0)])
def test_ridges_at_the_frame_are_brought_together_too(wrong):
    """A finger that a frame cuts off is compared there with what lies beyond A's frame in B."""
    a, b = cut(0), cut(30)
    first = start(np.array([[1.0, 0, wrong[0] - 30], [0, 1, wrong[1]]]))
    found, agreed = ridge_alignment.align_ridges(first, a, b)
    points = pixel_grid(*SHAPE)[:, 36:][::23, ::23]
    assert agreed > 0.9
    error = np.hypot(*(found(points) - points + (30, 0)).T)
    assert np.median(error) < 0.2
    assert error.max() < 0.8


def test_texture_does_not_depend_on_tone_and_contrast():
    image = ridges(0)
    pale = np.clip(image * 0.5 + 100, 0, 255).astype(np.uint8)
    first, second = texture(image), texture(pale)
    inner = first.mask > 0
    assert np.corrcoef(first.ridges[inner], second.ridges[inner])[0, 1] > 0.98
    assert first.ridges[inner].std() == pytest.approx(1, abs=0.2)
    assert not first.ridges[~inner].any()


def test_nodes_stay_few_on_large_prints():
    image, mask = ridges(0, (1400, 1300)), np.ones((1400, 1300), bool)
    large = ridge_image(image, mask)
    plain = Deformation(PLAIN.matrix, np.zeros((180, 170, 2)), np.ones(0, bool))
    matches = alone(plain, large, large, 24.0, 2)
    assert len(matches) < 1.1 * DEFAULT.most_nodes
    assert np.abs(matches[:, 2:4] - apply_affine(PLAIN.matrix, matches[:, :2])).max() < 0.1
