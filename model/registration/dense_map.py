"""Resample images by a dense map, and invert it.

A dense map is float32 [H_a, W_a, 2], the position (x, y) in px of B of each pixel of A; NaN where
nothing corresponds. Positions are complex numbers x + i·y inside this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.distortion import TO_COMPLEX, DenseMap, nearest_similarity


@dataclass(frozen=True)
class InversionParameters:
    """Numbers of the inversion of a dense map. All are chosen."""

    iterations: int = 50  # at most; skin needs about ten
    change: float = 0.01  # px; ends the iterations. OpenCV interpolates in steps of 1/32 px
    largest_error: float = 0.1  # px of B between a pixel and its position in A mapped to B


DEFAULT = InversionParameters()


def warp_image(image: NDArray[Any], map_ab: DenseMap) -> NDArray[np.float32]:
    """Resample an image of B, numbers of any type, into the frame of A; see `resample_onto_a`."""
    return resample_onto_a(np.asarray(image, np.float32), map_ab)


def resample_onto_a(image: NDArray[Any], map_ab: DenseMap) -> NDArray[np.float32]:
    """Resample an image of B into the frame of A by bilinear interpolation.

    Args:
        image: [H_b, W_b] or [H_b, W_b, C], float32, or uint8 for whole numbers in the result.
        map_ab: the map.

    Returns:
        float32 [H_a, W_a] or [H_a, W_a, C]; NaN where nothing corresponds.
    """
    valid = np.isfinite(map_ab[..., 0])
    x, y = np.moveaxis(np.where(valid[..., None], map_ab, 0).astype(np.float32), -1, 0)
    source = np.ascontiguousarray(image)
    warped = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    warped = np.asarray(warped).astype(np.float32).reshape(*valid.shape, *image.shape[2:])
    warped[~valid] = np.nan
    return warped


def sample_nearest(values: NDArray[np.float32], map_ab: DenseMap) -> NDArray[np.float32]:
    """Sample values [H_b, W_b] at the pixels of B nearest to a map; NaN where nothing corresponds.

    Unlike `resample_onto_a` it takes nothing from pixels beside, which may have no value.
    """
    valid = np.isfinite(map_ab[..., 0])
    x, y = np.floor(map_ab[valid] + 0.5).astype(np.intp).T
    sampled = np.full(valid.shape, np.nan, np.float32)
    height, width = values.shape
    sampled[valid] = values[y.clip(0, height - 1), x.clip(0, width - 1)]
    return sampled


def invert_map(
    map_ab: DenseMap, shape_b: tuple[int, int], parameters: InversionParameters = DEFAULT
) -> DenseMap:
    """Invert a dense map that does not fold.

    The map is a similarity transform and a displacement, which is continued beyond its region; the
    inverse is the fixed point of the similarity's inverse applied to what the displacement leaves.

    Args:
        map_ab: from A to B.
        shape_b: (height, width) of B.
        parameters: see `InversionParameters`.

    Returns:
        From B to A, float32 [H_b, W_b, 2]; NaN where no pixel of A with a map lies.
    """
    mapped = map_ab.astype(np.float64) @ TO_COMPLEX
    valid = np.isfinite(mapped)
    targets = _pixels(shape_b)
    similarity = nearest_similarity(map_ab)
    if similarity is None or not similarity.slope:
        return np.full((*shape_b, 2), np.nan, np.float32)
    displacement = _continued(mapped - similarity(_pixels(mapped.shape)), valid)
    points = similarity.inverse(targets)
    for _ in range(parameters.iterations):
        before, points = points, similarity.inverse(targets - _sample(displacement, points))
        if np.abs(points - before).max() < parameters.change:
            break
    error = np.abs(similarity(points) + _sample(displacement, points) - targets)
    inverse = np.stack([points.real, points.imag], -1).astype(np.float32)
    inverse[(error > parameters.largest_error) | ~_is_true_at(valid, points)] = np.nan
    return inverse


def _pixels(shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Return the positions of the pixels of an image of `shape` (height, width)."""
    return np.arange(shape[1]) + 1j * np.arange(shape[0])[:, None]


def _continued(values: NDArray[np.complex128], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return values float32 [H, W, 2], each pixel that is not valid with its nearest valid one."""
    invalid = np.asarray(~valid, np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        invalid, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(labels.max()) + 1, np.complex128)
    by_label[labels[valid]] = values[valid]
    continued = by_label[labels]
    return np.stack([continued.real, continued.imag], -1).astype(np.float32)


def _sample(values: NDArray[np.float32], points: NDArray[np.complex128]) -> NDArray:
    """Sample values [H, W, 2] at points [H_b, W_b] by bilinear interpolation."""
    x, y = points.real.astype(np.float32), points.imag.astype(np.float32)
    sampled = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.float64) @ TO_COMPLEX


def _is_true_at(mask: NDArray[np.bool_], points: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Return whether a mask is true at the pixels nearest to points; not outside of it."""
    x, y = np.floor(points.real + 0.5), np.floor(points.imag + 0.5)
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    row, column = np.where(inside, y, 0).astype(np.intp), np.where(inside, x, 0).astype(np.intp)
    return np.asarray(inside & mask[row, column])
