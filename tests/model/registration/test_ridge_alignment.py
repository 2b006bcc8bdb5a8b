"""Ridges aligned with ridges, against analytic warps."""

import cv2
import numpy as np
import pytest

from model.registration import hypotheses, ridge_alignment
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
IDENTITY = Warp(rotation(0.0, CENTRE))


def ridges(seed, shape=SHAPE, period=9.0):
    """Band-limited noise: ridges of one period with endings, uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), indexing="ij"))
    band = np.exp(-(((f - 1 / period) / 0.012) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) * band).real
    return (130 + 90 * np.tanh(2 * field / field.std())).astype(np.uint8)


def finger_ridges(image):
    """The ridge image of an image whose foreground is an ellipse."""
    mask = np.hypot(*np.moveaxis((pixel_grid(*SHAPE) - CENTRE) / (130, 120), -1, 0)) < 1
    return ridge_image(image, mask)


def inner_pixels(a):
    """The pixels [H, W] at 500 ppi well inside the foreground."""
    return cv2.erode(cv2.resize(a.mask, SHAPE[::-1]), np.ones((25, 25))) > 0.5


def make_pair(elastic=5.0, seed=0):
    """Ridge images A, B and the warp B px → A px."""
    rng = np.random.default_rng(seed)
    control, origin = random_control(rng, SHAPE, 90.0, elastic, 0.3)
    warp = Warp(rotation(0.4, CENTRE, (6, -4)), control, 90.0, origin)
    a = ridges(seed)
    b = cv2.remap(a, *np.moveaxis(warp.dense(*SHAPE).astype(np.float32), -1, 0), cv2.INTER_CUBIC)
    b = np.clip(b.astype(float) * 0.6 + 70 + rng.normal(0, 15, SHAPE), 0, 255).astype(np.uint8)
    return finger_ridges(a), finger_ridges(b), warp


def rigid(matrix):
    """A deformation without displacement."""
    rows, columns = (extent // NodeGrid().spacing + 3 for extent in SHAPE)
    return Deformation(matrix, np.zeros((rows, columns, 2)), np.ones(0, bool))


def errors(deformation, warp, a):
    points = pixel_grid(*SHAPE)[inner_pixels(a)][::37]
    return np.hypot(*(deformation(points) - warp.inverse(points)).T)


def match_nodes(deformation, a, b, window, largest_shift):
    """Matches [K, 5] of single nodes."""
    correlation = correlate(deformation, a, b, window, largest_shift)
    shifts = ridge_alignment.choose_shifts_singly(correlation)
    return ridge_alignment.matches_from_shifts(deformation, correlation, shifts)


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_of_a_few_px_become_a_fraction_of_one(seed):
    """From the rotation alone, wrong by the elastic distortion and a shift."""
    a, b, warp = make_pair(seed=seed)
    start = rigid(invert_affine(rotation(0.43, CENTRE, (8, -6))))
    aligned, correlation = ridge_alignment.align_ridges(start, a, b)
    assert np.median(errors(start, warp, a)) > 3
    assert np.median(errors(aligned, warp, a)) < 0.35
    assert np.quantile(errors(aligned, warp, a), 0.95) < 1.5
    assert correlation > 0.6 > 0.4 > ridge_correlation(start, a, b)


def test_right_deformation_stays():
    a, b, warp = make_pair(elastic=0.0)
    right = rigid(invert_affine(warp.matrix))
    aligned, _ = ridge_alignment.align_ridges(right, a, b)
    assert errors(aligned, warp, a).max() < 0.5


def test_other_ridges_do_not_correlate():
    a, b = finger_ridges(ridges(0)), finger_ridges(ridges(7))
    start = rigid(IDENTITY.matrix)
    assert ridge_alignment.align_ridges(start, a, a)[1] > 0.95
    assert ridge_alignment.align_ridges(start, a, b)[1] < 0.35


def test_small_overlap_has_a_low_correlation():
    a = finger_ridges(ridges(0))
    distant = rigid(rotation(0.0, CENTRE, (400, 0)))
    assert ridge_correlation(distant, a, a) == 0
    band = np.zeros(SHAPE, bool)
    band[130:170, 130:190] = True
    small = ridge_image(ridges(0), band)
    assert 0 < ridge_correlation(rigid(IDENTITY.matrix), small, small) < 0.35


def test_known_shift_is_measured_to_a_fraction_of_a_pixel():
    """B shows the content of A 2.6 px further right and 1.3 px further up."""
    image = ridges(3)
    shifted = cv2.warpAffine(image, np.array([[1, 0, 2.6], [0, 1, -1.3]]), SHAPE[::-1])
    a, b = finger_ridges(image), finger_ridges(shifted)
    matches = match_nodes(rigid(IDENTITY.matrix), a, b, 16.0, 6)
    inner = np.hypot(*((matches[:, :2] - CENTRE) / (100, 90)).T) < 1
    shift = (matches[:, 2:4] - matches[:, :2])[inner]
    assert np.abs(np.median(shift, 0) - (2.6, -1.3)).max() < 0.15
    assert shift.std(0).max() < 0.3


def turned_matches(warp, angle=0.18, shift=8.0):
    """Matches of the warp B → A, all turned by too much: float64 [K, 5]."""
    points = pixel_grid(*SHAPE)[50:260:14, 60:270:14].reshape(-1, 2)
    mapped = warp.inverse(points)
    centre = mapped.mean(0)
    turn = rotation(angle, centre, (shift, 0.0))
    return np.c_[points, apply_affine(turn, mapped), np.full(len(points), 0.9)]


def test_a_doubtful_refinement_is_repeated_until_it_settles(monkeypatch):
    pairs = [make_pair(seed=seed) for seed in range(6)]

    def correlations():
        found = [hypotheses.best_hypothesis(turned_matches(warp), a, b) for a, b, warp in pairs]
        return np.array([hypothesis.correlation for hypothesis in found])

    repeated = correlations()
    monkeypatch.setattr(hypotheses, "_settle", lambda hypothesis, *_: hypothesis)
    assert repeated.mean() > correlations().mean() + 0.03


def cut(left):
    """Ridges from column `left` on, up to the frame on all sides."""
    image = ridges(5, (SHAPE[0], SHAPE[1] + 60))[:, left : left + SHAPE[1]]
    return ridge_image(image, np.ones(SHAPE, bool))


def test_correlation_is_bounded_up_to_the_frame():
    correlation = correlate(rigid(IDENTITY.matrix), cut(0), cut(30), 24.0, 16)
    assert np.abs(correlation.by_shift).max() < 1 + 1e-4


@pytest.mark.parametrize("error", [(3.0, -4.0), (-5.0, 3.0)])
def test_ridges_at_the_frame_are_aligned_too(error):
    """A finger that the frame of A cuts off is compared with the part of B beyond that frame."""
    a, b = cut(0), cut(30)
    start = rigid(np.array([[1.0, 0, error[0] - 30], [0, 1, error[1]]]))
    aligned, correlation = ridge_alignment.align_ridges(start, a, b)
    points = pixel_grid(*SHAPE)[:, 36:][::23, ::23]
    assert correlation > 0.9
    remaining = np.hypot(*(aligned(points) - points + (30, 0)).T)
    assert np.median(remaining) < 0.2
    assert remaining.max() < 0.8


def test_ridge_image_does_not_depend_on_tone_and_contrast():
    image = ridges(0)
    pale = np.clip(image * 0.5 + 100, 0, 255).astype(np.uint8)
    first, second = finger_ridges(image), finger_ridges(pale)
    inner = first.mask > 0
    assert np.corrcoef(first.ridges[inner], second.ridges[inner])[0, 1] > 0.98
    assert first.ridges[inner].std() == pytest.approx(1, abs=0.2)
    assert not first.ridges[~inner].any()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rows", range(1, 16, 2))
def test_an_overlap_of_a_few_rows_at_the_frame_is_no_error(axis, rows):
    """The lattice of nodes may miss a thin overlap; then the ridges support nothing."""
    image = ridges(0)
    whole = ridge_image(image, np.ones(SHAPE, bool))
    move = np.zeros(2)
    move[1 - axis] = rows - SHAPE[axis]
    start = rigid(np.c_[np.eye(2), move])
    aligned, correlation = ridge_alignment.align_ridges(start, whole, whole)
    assert aligned is start
    assert correlation < 0.1


def test_number_of_nodes_is_limited_on_large_impressions():
    image, mask = ridges(0, (1400, 1300)), np.ones((1400, 1300), bool)
    large = ridge_image(image, mask)
    identity = Deformation(IDENTITY.matrix, np.zeros((180, 170, 2)), np.ones(0, bool))
    matches = match_nodes(identity, large, large, 24.0, 2)
    assert len(matches) < 1.1 * DEFAULT.most_nodes
    assert np.abs(matches[:, 2:4] - apply_affine(IDENTITY.matrix, matches[:, :2])).max() < 0.1
