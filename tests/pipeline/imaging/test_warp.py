"""Warps: conventions, inverse, derivatives; all against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.imaging.warp import (
    IDENTITY,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
    pixel_grid,
    random_control,
    rotation,
)


def elastic(seed, strain=0.3, amplitude=3.0, matrix=IDENTITY):
    control, origin = random_control(
        np.random.default_rng(seed), (128, 128), 32.0, amplitude, strain
    )
    return Warp(matrix, control, 32.0, origin)


def test_rotation_is_counter_clockwise_as_seen():
    """A quarter turn takes a point right of the centre to a point above it (y points down)."""
    quarter = rotation(math.pi / 2, (10.0, 20.0))
    assert np.allclose(apply_affine(quarter, np.array([[15.0, 20.0]])), [[10.0, 15.0]])


def test_rotation_keeps_its_centre_and_then_shifts():
    turn = rotation(1.1, (63.5, 63.5), (3.0, -2.0))
    assert np.allclose(apply_affine(turn, np.array([63.5, 63.5])), [66.5, 61.5])


def test_pixel_grid_has_cell_centres():
    """Cell i of stride s has its centre at s·i + (s - 1) / 2."""
    grid = pixel_grid(3, 5, 4)
    assert grid.shape == (3, 5, 2)
    assert grid[2, 3].tolist() == [4 * 3 + 1.5, 4 * 2 + 1.5]
    assert pixel_grid(2, 2)[0, 0].tolist() == [0, 0]


def test_composition_and_inverse_of_affine():
    a, b = rotation(0.3, (5, 6), (1, 2)), np.array([[2.0, 0.1, 3], [0.0, 1.5, -1]])
    points = pixel_grid(4, 5)
    composed = apply_affine(compose_affine(a, b), points)
    assert np.allclose(composed, apply_affine(a, apply_affine(b, points)))
    assert np.allclose(apply_affine(invert_affine(b), apply_affine(b, points)), points)
    with pytest.raises(np.linalg.LinAlgError):
        invert_affine(np.zeros((2, 3)))


def test_spline_of_equal_controls_is_a_shift():
    """B-spline weights sum to one."""
    warp = Warp(IDENTITY, np.full((9, 9, 2), [2.5, -1.25]), 32.0, (-64.0, -64.0))
    points = np.random.default_rng(0).uniform(0, 127, (50, 2))
    assert np.allclose(warp(points), points + np.array([2.5, -1.25]), atol=1e-12)


def test_spline_reproduces_a_linear_field():
    """Controls that lie on a linear function of their place give that function."""
    y, x = np.mgrid[0:9, 0:9] * 32.0 - 64.0
    slope = np.array([[0.05, -0.02], [0.03, 0.04]])
    warp = Warp(IDENTITY, np.stack([x, y], -1) @ slope.T, 32.0, (-64.0, -64.0))
    points = np.random.default_rng(0).uniform(0, 127, (50, 2))
    assert np.allclose(warp.displacement(points), points @ slope.T, atol=1e-12)


def test_one_control_point_is_a_cubic_b_spline():
    """At its control point 2/3 · 2/3 of it, one spacing away 1/6, two spacings away 0."""
    warp = Warp(IDENTITY, np.array([[[3.0, 0.0]]]), 10.0, (50.0, 50.0))
    points = np.array([[50.0, 50], [60, 50], [70, 50], [5000, -5000]])
    assert np.allclose(warp.displacement(points)[:, 0], [3 * 4 / 9, 3 / 6 * 2 / 3, 0, 0])


def test_displacement_is_smooth():
    """No jump across cell borders, nor of the derivative."""
    warp = elastic(3)
    x = np.linspace(0, 127, 4001)
    d = warp.displacement(np.stack([x, np.full_like(x, 40.3)], -1))
    first = np.diff(d, axis=0)
    assert np.abs(first).max() < 0.3 * (x[1] - x[0])
    assert np.abs(np.diff(first, axis=0)).max() < 1e-4


def test_dense_equals_call():
    warp = elastic(1, matrix=rotation(0.4, (60, 60)))
    assert np.abs(warp.dense(40, 50) - warp(pixel_grid(40, 50))).max() < 1e-9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(-math.pi, math.pi), st.floats(0.01, 0.9))
def test_inverse_of_any_warp(seed, angle, strain):
    warp = elastic(seed, strain, 20.0, rotation(angle, (63.5, 63.5), (4, -7)))
    points = pixel_grid(32, 32, 4)
    assert np.abs(warp(warp.inverse(points)) - points).max() < 1e-4


def test_strain_bounds_the_measured_stretch():
    """The Jacobian of the displacement, measured, is never larger than the strain."""
    for seed in range(20):
        warp = elastic(seed, 0.5, 30.0)
        p = np.random.default_rng(seed).uniform(0, 127, (500, 2))
        e = 1e-5
        columns = [
            (warp.displacement(p + step) - warp.displacement(p - step)) / (2 * e)
            for step in (np.array([e, 0]), np.array([0, e]))
        ]
        assert np.linalg.norm(np.stack(columns, -1), 2, (-2, -1)).max() <= warp.strain + 1e-6
        assert warp.strain == pytest.approx(0.5)


def test_warp_that_folds_is_refused():
    with pytest.raises(ValueError, match="folds"):
        Warp(IDENTITY, np.array([[[40.0, 0.0]]]), 10.0)


def test_random_control_covers_the_image_and_keeps_its_amplitude():
    control, origin = random_control(np.random.default_rng(0), (128, 96), 32.0, 0.5, 0.3)
    last = np.array(origin) + 32.0 * (np.array(control.shape[1::-1]) - 1)
    assert (np.array(origin) <= -32).all() and (last >= [96 + 31, 128 + 31]).all()
    assert 0.3 < control.std() < 0.7


@pytest.mark.parametrize("scale", [0.5, 1.024, 1.138, 2.0])
def test_warp_at_another_scale(scale):
    """It is the warp of the coarser px that coincide with the finer ones, edges on edges."""
    warp = elastic(4, 0.4, 20.0, rotation(0.6, (60, 50), (5, -3)))
    scaled = warp.at_scale(scale)
    points = np.random.default_rng(0).uniform(-20, 150, (200, 2))
    finer = (points + 0.5) * scale - 0.5
    assert np.allclose(scaled(finer), warp(points), rtol=0, atol=1e-10)
    assert np.allclose(scaled.displacement(finer), scale * warp.displacement(points), atol=1e-10)
    assert scaled.strain == pytest.approx(warp.strain, rel=1e-12)
    assert np.allclose(scaled.inverse(warp(points)), finer, rtol=0, atol=1e-4)
    assert np.allclose(scaled.at_scale(1 / scale)(points), warp(points), rtol=0, atol=1e-10)


def test_scale_one_changes_no_number():
    warp = elastic(4, matrix=rotation(0.6, (60, 50), (5, -3)))
    assert warp.at_scale(1.0).to_json() == warp.to_json()


def test_corner_of_four_finer_px_is_the_centre_of_one():
    rigid = Warp(rotation(0.6, (60, 50)))
    middle = rigid.at_scale(2.0)(np.array([0.5, 0.5]))
    assert np.allclose(middle, rigid(np.array([0.0, 0.0])), rtol=0, atol=1e-12)


def test_json_is_exact():
    for warp in (elastic(2, matrix=rotation(0.1, (1, 2))), Warp(rotation(0.2, (0, 0)))):
        again = Warp.from_json(warp.to_json())
        points = pixel_grid(5, 5, 20)
        assert np.array_equal(again(points), warp(points))


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": [[1, 0, 0]]},
        {"matrix": [[1, 0, math.nan], [0, 1, 0]]},
        {"matrix": [[1, 2, 0], [2, 4, 0]]},
        {"matrix": [[0.1, 0.3, 0], [0.3, 0.9, 0]]},  # of determinant 1e-17 by rounding
        {"matrix": [[1, 0, 0], [0, -1, 0]]},
        {"origin": [1]},
        {"origin": [math.inf, 0]},
        {"spacing": 0},
        {"spacing": -32.0},
        {"spacing": math.nan},
    ],
)
def test_invalid_json_is_refused(change):
    with pytest.raises((ValueError, TypeError)):
        Warp.from_json({**elastic(0).to_json(), **change})
