"""Warps by dense maps, and their inverses, against analytic maps."""

import numpy as np
import pytest

from model.registration.dense_map import invert_map, warp_image
from model.registration.distortion import nearest_similarity
from pipeline.imaging.warp import pixel_grid

SHAPE_A, SHAPE_B = (200, 180), (230, 260)


def deform(points, bend=6.0, degrees=25.0, scale=1.2, mirrored=False):
    """A smooth map without folds: a similarity transform, perhaps mirrored, and a wave."""
    turn = scale * np.exp(1j * np.radians(degrees))
    z = points[..., 0] - 90 + 1j * (points[..., 1] - 100)
    z = turn * (z.conj() if mirrored else z) + (125 + 110j)
    z = z + bend * (np.sin(z.imag / 25) + 1j * np.cos(z.real / 30))
    return np.stack([z.real, z.imag], -1)


def finger_map(**settings):
    """The map of the pixels in an ellipse of A that lie in the frame of B."""
    grid = pixel_grid(*SHAPE_A)
    mapped = deform(grid, **settings)
    inside = (((grid - (90, 100)) / (70, 80)) ** 2).sum(-1) < 1
    inside &= ((mapped >= 0) & (mapped <= np.subtract(SHAPE_B[::-1], 1))).all(-1)
    return np.where(inside[..., None], mapped, np.nan).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bend": 0.0},
        {"bend": 10.0, "degrees": 170.0},
        {"scale": 0.5, "bend": 3.0},
        {"mirrored": True},
        {"mirrored": True, "degrees": 170.0},
    ],
)
def test_inverse_is_exact_and_covers_the_finger(settings):
    map_ab = finger_map(**settings)
    inverse = invert_map(map_ab, SHAPE_B)
    assert inverse.shape == (*SHAPE_B, 2) and inverse.dtype == np.float32
    valid = np.isfinite(inverse[..., 0])
    again = deform(inverse.astype(np.float64)[valid], **settings)
    error = np.hypot(*(again - pixel_grid(*SHAPE_B)[valid]).T)
    assert np.percentile(error, 98) < 0.03  # half a px at the border has no map on one side
    assert error.max() < 0.4
    from_a = np.rint(map_ab[np.isfinite(map_ab[..., 0])]).astype(int).T
    assert valid[from_a[1], from_a[0]].mean() > 0.97
    assert valid.sum() <= np.isfinite(map_ab[..., 0]).sum() * settings.get("scale", 1.2) ** 2 * 1.1


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_nearest_similarity_may_be_mirrored(mirrored):
    """As between an image that is stored mirrored and one that is not."""
    similarity = nearest_similarity(finger_map(bend=0.0, mirrored=mirrored))
    assert similarity.mirrored == mirrored
    assert similarity.distances.max() < 1e-3
    points = pixel_grid(3, 3) @ [1, 1j]
    assert np.allclose(similarity.inverse(similarity(points)), points)


def test_nothing_is_inverted_where_nothing_corresponds():
    nowhere = np.full((*SHAPE_A, 2), np.nan, np.float32)
    assert np.isnan(invert_map(nowhere, SHAPE_B)).all()
    nowhere[100, 100] = 5, 5
    assert np.isnan(invert_map(nowhere, SHAPE_B)).all()


def test_a_map_with_a_hole_has_an_inverse_with_a_hole():
    map_ab = finger_map(bend=0.0)
    map_ab[90:110, 80:100] = np.nan
    x, y = deform(np.array([90.0, 100.0]), bend=0.0).round().astype(int)
    assert np.isnan(invert_map(map_ab, SHAPE_B)[y, x]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.bool_, np.int32])
def test_warp_samples_b_where_the_map_says(dtype):
    map_ab = finger_map()
    ramp = pixel_grid(*SHAPE_B) / 2
    image = (ramp > 50).astype(dtype) if dtype is np.bool_ else ramp.astype(dtype)
    warped = warp_image(image, map_ab)
    valid = np.isfinite(map_ab[..., 0])
    assert warped.dtype == np.float32 and np.isnan(warped[~valid]).all()
    assert np.isfinite(warped[valid]).all()
    np.testing.assert_array_equal(warped, warp_image(image.astype(np.float64), map_ab))
    if dtype is np.float64:
        np.testing.assert_allclose(warped[valid], map_ab[valid] / 2, atol=0.02)
    assert warp_image(image[..., 0], map_ab).shape == SHAPE_A


def test_nan_of_the_image_stays_where_it_is():
    image = np.ones(SHAPE_B)
    image[:, :130] = np.nan
    map_ab = finger_map()
    warped = warp_image(image, map_ab)
    assert np.isnan(warped[map_ab[..., 0] < 129]).all()
    assert (warped[map_ab[..., 0] > 131] == 1).all()
