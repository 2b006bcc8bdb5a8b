"""Kernels rotate as images do, and convolutions commute with rotation."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from model.network.equivariant import Conv, Norm, invariant, rotation_matrices


def rotate_by_90(x, turns):
    """A map [B, H, W, K·C] rotated by 90° counter-clockwise: its cells and its orientations."""
    shape = x.shape
    x = np.rot90(np.asarray(x), axes=(1, 2)).reshape(*shape[:3], turns, -1)
    return np.roll(x, turns // 4, 3).reshape(shape)


@pytest.mark.parametrize(("side", "turns"), [(3, 4), (3, 8), (8, 4), (8, 8), (12, 8)])
def test_kernels_rotate_counter_clockwise(side, turns):
    """Exactly by multiples of 90°, inside the disc that stays in the kernel."""
    kernel = np.random.default_rng(0).normal(size=(side, side))
    position = np.arange(side) - (side - 1) / 2
    disc = np.hypot(position, position[:, None]) <= side / 2 if side > 3 else np.ones((3, 3), bool)
    for k in range(4):
        rotated = rotation_matrices(side, turns)[k * turns // 4] @ kernel.ravel()
        expected = np.where(disc, np.rot90(kernel, k), rotated.reshape(side, side))
        np.testing.assert_allclose(rotated.reshape(side, side), expected, atol=1e-5)


def test_rotations_of_a_small_kernel_by_45_degrees_add_up():
    matrices = rotation_matrices(3, 8)
    for k in range(8):
        np.testing.assert_array_equal(matrices[1] @ matrices[k], matrices[(k + 1) % 8])


@pytest.mark.parametrize("turns", [4, 8])
@pytest.mark.parametrize(("side", "stride", "lift"), [(8, 2, True), (3, 1, False), (1, 1, False)])
def test_convolutions_commute_with_rotation(turns, side, stride, lift):
    """Maps rotate with their orientations; images have none."""
    conv = Conv(2, 3, side, turns, "float32", nnx.Rngs(0), stride=stride, lift=lift)
    before = 1 if lift else turns
    x = np.random.default_rng(1).normal(size=(1, 8, 8, before * 2)).astype(np.float32)
    y = conv(x)
    assert y.shape == (1, 8 // stride, 8 // stride, turns * 3)
    rotated = conv(np.rot90(x, axes=(1, 2)) if lift else rotate_by_90(x, turns))
    np.testing.assert_allclose(rotated, rotate_by_90(y, turns), atol=1e-4)


def test_one_orientation_is_a_plain_convolution():
    conv = Conv(2, 3, 3, 1, "float32", nnx.Rngs(0))
    x = np.random.default_rng(2).normal(size=(1, 6, 6, 2)).astype(np.float32)
    kernel = np.asarray(conv.kernel[...]).reshape(3, 3, 2, 3)
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), (0, 1))
    np.testing.assert_allclose(
        conv(x)[0, 1:-1, 1:-1], np.einsum("hwiyx,yxio->hwo", windows, kernel), atol=1e-5
    )


@pytest.mark.parametrize("turns", [1, 4])
def test_norm_is_the_same_for_all_orientations(turns):
    """A channel has one scale and bias for all its orientations; images are independent."""
    norm = Norm(2, turns, "float32", nnx.Rngs(0))
    norm.scale[...], norm.bias[...] = jnp.array([2.0, 3.0]), jnp.array([5.0, -5.0])
    x = np.random.default_rng(3).normal(3, 4, (2, 8, 8, turns * 2)).astype(np.float32)
    x[1] *= 100
    unit = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    expected = unit * np.tile([2, 3], turns) + np.tile([5, -5], turns)
    np.testing.assert_allclose(norm(x), expected, atol=1e-3)


def test_invariant_is_the_maximum_over_orientations():
    x = np.arange(12.0).reshape(1, 1, 1, 12)  # 4 orientations of 3 channels
    np.testing.assert_array_equal(invariant(x, 4).ravel(), [9, 10, 11])
    np.testing.assert_array_equal(invariant(rotate_by_90(x, 4), 4), invariant(x, 4))
    assert invariant(x, 1) is x
