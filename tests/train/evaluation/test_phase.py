"""Phase correlation against known motions."""

import math

import cv2
import numpy as np
import pytest
from pairs import make_pairs
from prints import finger

from pipeline.imaging.warp import apply_affine, pixel_grid, rotation
from train.evaluation import phase

IMPRESSION = finger(1, 420, 400)


@pytest.mark.parametrize("degrees", [0, 10, -35, 75, 120, -170])
def test_rotation_and_shift_are_recovered(degrees):
    """B has another size than A, and may be upside down."""
    true = rotation(math.radians(degrees), (199.5, 209.5), (14, -9))
    moved = cv2.warpAffine(IMPRESSION, true, (380, 430), borderValue=250, flags=cv2.INTER_CUBIC)
    alignment = phase.align(IMPRESSION, np.asarray(moved, np.uint8))
    points = pixel_grid(5, 5, 40) + 100
    error = apply_affine(alignment.matrix, points) - apply_affine(true, points)
    assert np.hypot(*np.moveaxis(error, -1, 0)).max() < 1
    assert alignment.response > 0.7


@pytest.mark.parametrize("side", [288, 364, 375, 405])
def test_shifts_are_as_exact_in_images_of_any_size(side):
    image = finger(1, side, side)
    moved = cv2.warpAffine(
        image, np.array([[1.0, 0, 6], [0, 1.0, -4]]), (side, side), borderValue=250
    )
    alignment = phase.align(image, np.asarray(moved, np.uint8))
    middle = np.array([side / 2, side / 2])
    assert np.abs(apply_affine(alignment.matrix, middle) - middle - (6, -4)).max() < 0.25


def test_distorted_pairs_are_aligned_and_impostors_respond_less():
    response = {True: [], False: []}
    for pair in make_pairs(8, 1):
        a, b = [
            np.asarray(cv2.resize(image, (288, 288), interpolation=cv2.INTER_CUBIC), np.uint8)
            for image in (pair.image_a, pair.image_b)
        ]
        alignment = phase.align(a, b)
        response[pair.genuine].append(alignment.response)
        if pair.genuine:
            truth = 2.25 * pair.map_ab + 0.625
            error = apply_affine(alignment.matrix, pixel_grid(32, 32, 9)) - truth
            assert np.median(np.hypot(*np.moveaxis(error, -1, 0))[pair.visible]) < 5
    assert min(response[True]) > 2 * max(response[False])


def test_blank_images_give_a_finite_alignment():
    blank = np.full((100, 120), 200, np.uint8)
    alignment = phase.align(blank, blank)
    assert np.isfinite(alignment.matrix).all()
    assert 0 <= alignment.response <= 1
