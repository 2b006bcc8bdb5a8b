"""Touches: distributions of pose, distortion, contact region and manner."""

import numpy as np
import pytest
from touches import sample_touches

from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.contact import pressure_field
from pipeline.synthesis.distortion import DistortionParameters
from pipeline.synthesis.frame import MASTER_MIDDLE
from pipeline.synthesis.manner import (
    DISPLACED,
    HARD,
    LIGHT,
    PLAIN,
    STRAINED,
    TWISTED,
    sample_manner,
)
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, STYLES


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_touches_vary_as_in_a_competition(style):
    """Turned by less than 30°, stretched by several px, most of each shown in the other."""
    touches = sample_touches(style, 24)
    assert max(abs(np.degrees(t.rotation)) for t in touches) < 30
    assert np.std([np.degrees(t.rotation) for t in touches]) > 4
    assert all(2 < np.abs(t.warp.control).max() < 25 for t in touches)
    pressures = [
        pressure_field(t, np.random.default_rng(k)) - t.pressure for k, t in enumerate(touches)
    ]
    shared = []
    for k, a in enumerate(touches):
        b, pressure_b = touches[k - 1], pressures[k - 1]
        points = pixel_grid(*a.size)[pressures[k] > -0.8][::97]
        x, y = np.rint(b.warp.inverse(a.warp(points))).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < b.size[1]) & (y < b.size[0])
        shared.append((inside & (pressure_b[y * inside, x * inside] > -0.8)).mean())
    assert np.median(shared) > 0.7 and min(shared) > 0.35


def edge_displacement(touch):
    """Largest distance px of the contact's edge from its position by a rigid fit to the middle."""
    points = pixel_grid(*touch.size, 1.0)[::8, ::8].reshape(-1, 2)
    offsets = points - touch.centre
    middle = np.hypot(*offsets.T) < 25
    inside = np.hypot(*(offsets / touch.axes).T) < 1
    moved = touch.warp(points)
    plane = np.column_stack([points, np.ones(len(points))])
    affine = np.linalg.lstsq(plane[middle], moved[middle], rcond=None)[0]
    u, _, v = np.linalg.svd(affine[:2])
    rigid = (points - points[middle].mean(0)) @ (u @ v) + moved[middle].mean(0)
    return np.hypot(*(moved - rigid)[inside].T).max()


def test_twisted_and_strained_skin_is_stretched_further_and_never_folds():
    plain, twisted, strained = (
        sample_touches(OPTICAL, 40, manner) for manner in (PLAIN, TWISTED, STRAINED)
    )
    assert 5 < np.median([edge_displacement(touch) for touch in plain]) < 15
    assert 15 < np.median([edge_displacement(touch) for touch in twisted]) < 35
    assert 30 < np.median([edge_displacement(touch) for touch in strained]) < 60
    assert max(t.warp.strain for t in plain + twisted + strained) < 0.81
    assert max(abs(np.degrees(t.rotation)) for t in twisted) > 30


def test_skin_is_stretched_along_its_axes_as_between_real_impressions():
    """FVC2002 DB1_B: one way against the other by 3.5 % in the median of the pairs, scale 1.4 %."""
    touches = sample_touches(OPTICAL, 200)
    between = [
        a.warp.matrix[:, :2] @ np.linalg.inv(b.warp.matrix[:, :2])
        for a, b in zip(touches[::2], touches[1::2], strict=True)
    ]
    large, small = np.linalg.svd(between)[1].T
    assert 0.025 < np.median(np.log(large / small)) < 0.05
    assert 0.008 < np.std(np.log(large * small) / 2) < 0.02


def test_displaced_fingers_are_cut_by_the_frame():
    """Less of the contact region lies in the image than in a plain touch."""
    shares = []
    for manner in (PLAIN, DISPLACED):
        centres = np.array([t.centre for t in sample_touches(CAPACITIVE, 60, manner)])
        shares.append((np.abs(centres - 149.5).max(1) > 75).mean())
    assert shares[0] < 0.05 and shares[1] > 0.25


def test_light_touches_have_a_small_contact_region():
    areas = [
        np.mean([np.prod(t.axes) for t in sample_touches(OPTICAL, 20, manner)])
        for manner in (LIGHT, PLAIN)
    ]
    assert areas[0] < 0.65 * areas[1]


def test_half_of_the_touches_is_hard():
    rng = np.random.default_rng(0)
    names = [sample_manner(rng).name for _ in range(3000)]
    assert abs(names.count("plain") / 3000 - 1 / 2) < 0.04
    share = 1 / 2 / len(HARD)
    assert all(abs(names.count(manner.name) / 3000 - share) < 0.02 for manner in HARD)


def test_fields_of_a_touch_agree_with_its_warp():
    """The matrix is that of rotation, stretch and position; the finger's middle stays behind."""
    middle = np.array(MASTER_MIDDLE)
    for touch in sample_touches(OPTICAL, 20, TWISTED):
        c, s = np.cos(touch.rotation), np.sin(touch.rotation)
        along_x, along_y, shear = touch.stretch
        linear = np.array([[c, -s], [s, c]]) @ [[1 + along_x, shear], [shear, 1 + along_y]]
        assert np.allclose(touch.warp.matrix[:, :2], linear)
        finger = np.array([touch.finger])
        assert np.allclose(linear @ touch.finger + touch.warp.matrix[:, 2], middle)
        slip = np.linalg.solve(linear, (touch.warp(finger) - middle)[0])
        if touch.warp.strain < DistortionParameters().strain_max - 0.01:  # not scaled down
            assert np.hypot(*(slip - touch.drag.slip)) < 5  # the spline smooths, and the jitter
