"""Conventions of the matching grid, and ground truth on coarser grids."""

import jax.numpy as jnp
import numpy as np
import pytest

from model.network.grid import cell_of, centres, pool_truth

TURN = np.array([[0.8, -0.6], [0.7, 0.9]])


@pytest.mark.parametrize("stride", [4, 8])
def test_centres_lie_in_their_own_cells_row_major(stride):
    points = centres(5, stride)
    assert points.shape == (25, 2) and points.dtype == jnp.float32
    np.testing.assert_array_equal(cell_of(points, 5, stride), np.arange(25))
    np.testing.assert_array_equal(points[1] - points[0], [stride, 0])  # x runs fastest


@pytest.mark.parametrize("stride", [4, 8])
def test_centre_is_the_mean_of_its_pixels(stride):
    """Pixel centres are integers: the top-left cell contains 0 … stride - 1."""
    pixels = np.arange(3 * stride).reshape(3, stride).mean(1)
    np.testing.assert_array_equal(centres(3, stride)[:3, 0], pixels)
    np.testing.assert_array_equal(centres(3, stride)[::3, 1], pixels)


@pytest.mark.parametrize("stride", [4, 8])
def test_cells_begin_half_a_pixel_before_their_first(stride):
    x = np.array([-0.5, stride - 0.51, stride - 0.5, 3 * stride - 0.51], np.float32)
    index = cell_of(np.stack([x, 0 * x], -1), 3, stride)
    np.testing.assert_array_equal(index, [0, 0, 1, 2])
    np.testing.assert_array_equal(cell_of(np.stack([0 * x, x], -1), 3, stride), 3 * index)


def test_points_outside_get_the_nearest_border_cell():
    points = np.array([[-50, 5], [50, 5], [5, -50], [50, 50]], np.float32)
    np.testing.assert_array_equal(cell_of(points, 3, 4), [3, 5, 1, 8])


def affine_truth(cells, stride, batch=2):
    """An affine map at the centres of a grid: float32 [B, G, G, 2]."""
    points = np.asarray(centres(cells, stride)) @ TURN.T + [3, -2]
    return np.broadcast_to(points.reshape(1, cells, cells, 2), (batch, cells, cells, 2)).astype(
        "f4"
    )


@pytest.mark.parametrize("part", [2, 4])
def test_pooling_is_exact_for_affine_maps(part):
    fine = affine_truth(8, 4)
    points, visible = pool_truth(fine, np.ones((2, 8, 8), bool), 8 // part)
    coarse = affine_truth(8 // part, 4 * part).reshape(2, -1, 2)
    np.testing.assert_allclose(points, coarse, atol=1e-4)
    assert visible.all()


def test_no_pooling_on_the_same_grid():
    fine = affine_truth(8, 4)
    visible_parts = np.random.default_rng(0).random((2, 8, 8)) < 0.5
    points, visible = pool_truth(fine, visible_parts, 8)
    np.testing.assert_array_equal(visible, visible_parts.reshape(2, 64))
    np.testing.assert_array_equal(
        points, np.where(visible_parts[..., None], fine, 0).reshape(2, 64, 2)
    )


def test_coarse_cell_is_visible_where_all_its_parts_are():
    """One hidden part hides the cell, whatever its coordinates."""
    fine, visible_parts = affine_truth(8, 4), np.ones((2, 8, 8), bool)
    visible_parts[0, 3, 5], visible_parts[1, 0, 0] = False, False
    fine[0, 3, 5], fine[1, 0, 0] = np.nan, np.inf
    points, visible = pool_truth(fine, visible_parts, 4)
    hidden = np.argwhere(~np.asarray(visible))
    np.testing.assert_array_equal(hidden, [[0, 1 * 4 + 2], [1, 0]])
    expected = affine_truth(4, 8).reshape(2, 16, 2)
    expected[0, 6] = expected[1, 0] = 0
    np.testing.assert_allclose(points, expected, atol=1e-4)


def test_cells_that_do_not_divide_the_truth_are_refused():
    with pytest.raises(ValueError, match="8 cells per side cannot be pooled to 3"):
        pool_truth(affine_truth(8, 4), np.ones((2, 8, 8), bool), 3)
