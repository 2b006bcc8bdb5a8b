"""SIFT + RANSAC, a classical registration by a similarity transform, as OpenCV has it.

SIFT keypoints (Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60(2),
2004), cross-checked nearest neighbours, then RANSAC by `cv2.estimateAffinePartial2D`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION = 3  # of the results: raise it with every change of code that changes them


@dataclass(frozen=True)
class SiftParameters:
    """Settings of SIFT and RANSAC."""

    max_features: int = 2000  # strongest keypoints of an image; chosen: few prints have more
    inlier_distance: float = 6.0  # px at 500 ppi; chosen: less than a ridge period (9 px)
    max_iterations: int = 5000  # of RANSAC; chosen: above OpenCV's 2000, a match is often wrong
    # px by which OpenCV's keypoints lie too far right and down: it doubles images about their edges
    # and halves positions about the centre of the first pixel. Its option `enable_precise_upscale`
    # has no such shift, but other keypoints, by which fewer pairs align (docs/LOG.md, 2026-12-01,
    # "What is returned, calibrated").
    upscaling_shift: float = 0.25
    min_matches: int = 3  # two matches define a transform, a third tests it


DEFAULT = SiftParameters()


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of an image.

    Attributes:
        points: float32 [K, 2], (x, y) px of the image.
        descriptors: float32 [K, 128].
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SimilarityFit:
    """A similarity transform from A to B and the matches that support it, in px of the images.

    Attributes:
        matrix: float64 [2, 3], A → B.
        inliers: float64 [K, 4], x_a, y_a, x_b, y_b.
    """

    matrix: NDArray[np.float64]
    inliers: NDArray[np.float64]


def align(
    image_a: NDArray[np.uint8],
    image_b: NDArray[np.uint8],
    scale: float,
    parameters: SiftParameters = DEFAULT,
) -> SimilarityFit | None:
    """Fit a similarity transform to two crops; None where none is supported.

    Args:
        image_a: uint8 [H, W].
        image_b: uint8 [H, W].
        scale: px at 500 ppi per px of the crops. The crops are enlarged by it first: SIFT finds
            more on them than on crops of fewer px.
        parameters: settings.

    The result is deterministic: OpenCV's RANSAC starts from a fixed seed.
    """
    a, b = extract(image_a, scale, parameters), extract(image_b, scale, parameters)
    return fit(a, b, scale, parameters)


def extract(
    image: NDArray[np.uint8], scale: float = 1.0, parameters: SiftParameters = DEFAULT
) -> Keypoints:
    """Detect keypoints and compute their descriptors in an image enlarged by `scale`.

    Args:
        image: uint8 [H, W].
        scale: factor of the enlargement; the keypoints are in px of the image itself.
        parameters: settings.
    """
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    enlarged = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    detector = cv2.SIFT.create(parameters.max_features)
    keypoints, descriptors = detector.detectAndCompute(enlarged, None)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    points -= np.float32(parameters.upscaling_shift)
    points = (points + 0.5) * (np.array(image.shape[::-1]) / size).astype(np.float32) - 0.5
    if descriptors is None:
        descriptors = np.zeros((0, 128), np.float32)
    return Keypoints(points, np.asarray(descriptors, np.float32))


def fit(
    a: Keypoints, b: Keypoints, scale: float = 1.0, parameters: SiftParameters = DEFAULT
) -> SimilarityFit | None:
    """Fit the similarity that most cross-checked matches support; None where there is none.

    Args:
        a: keypoints of A.
        b: keypoints of B.
        scale: px at 500 ppi per px of the keypoints.
        parameters: settings.
    """
    if min(len(a.points), len(b.points)) < parameters.min_matches:
        return None
    matches = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(a.descriptors, b.descriptors)
    if len(matches) < parameters.min_matches:
        return None
    points_a = a.points[[match.queryIdx for match in matches]]
    points_b = b.points[[match.trainIdx for match in matches]]
    matrix, inlier = cv2.estimateAffinePartial2D(
        points_a,
        points_b,
        method=cv2.RANSAC,
        ransacReprojThreshold=parameters.inlier_distance / scale,
        maxIters=parameters.max_iterations,
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    inliers = np.c_[points_a, points_b][inlier.ravel() > 0].astype(np.float64)
    return SimilarityFit(np.asarray(matrix), inliers)
