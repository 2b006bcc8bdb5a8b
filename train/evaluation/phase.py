"""Phase correlation, a classical registration by a rotation and a shift.

Reddy & Chatterji, "An FFT-based technique for translation, rotation, and scale-invariant image
registration", IEEE TIP 5(8), 1996. The magnitude of the spectrum rotates with the image and does
not depend on the shift. In log-polar coordinates a rotation is a shift along the angle, which gives
the rotation up to 180°. For both candidates the shift is found by phase correlation (Kuglin &
Hines, 1975), and the one with the higher peak is taken.

There are two differences to the published method, both of which improve this baseline: the
magnitudes are compared by plain correlation, which found the rotation in all of 18 distorted pairs
where their phase correlation found it in two (docs/LOG.md, 2026-11-23, "Phase correlation and
intervals over fingers"); and the scale is not searched, because both images have the same
resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array, compose_affine, invert_affine, rotation

VERSION = 2  # of the results: raise it with every change of code that changes them

Field = NDArray[np.float32]


@dataclass(frozen=True)
class PhaseParameters:
    """Settings of phase correlation."""

    angles: int = 720  # rows of the log-polar spectrum in 360°; chosen: steps of 0.5°
    frequency_range: tuple[float, float] = (0.04, 0.25)  # cycles per px at 500 ppi; chosen: where
    # ridges are, periods of 4 to 25 px


DEFAULT = PhaseParameters()


@dataclass(frozen=True, eq=False)
class RigidAlignment:
    """A rotation and a shift from A to B.

    Attributes:
        matrix: float64 [2, 3], px of A → px of B.
        response: share of the energy at the peak of the correlation, in [0, 1].
    """

    matrix: Array
    response: float


def align(
    image_a: NDArray[np.uint8],
    image_b: NDArray[np.uint8],
    parameters: PhaseParameters = DEFAULT,
) -> RigidAlignment:
    """Find the rotation and the shift of A onto B.

    Args:
        image_a: uint8 [H, W] at 500 ppi, of any size.
        image_b: uint8 [H, W] at 500 ppi, of any size.
        parameters: settings.

    Returns:
        An alignment in any case; a low response means that it is probably wrong.
    """
    longest = max(*image_a.shape, *image_b.shape)
    # even: cv2.phaseCorrelate is off by half a px in a square of odd side
    side = 2 * cv2.getOptimalDFTSize((longest + 1) // 2)
    window = np.asarray(cv2.createHanningWindow((side, side), cv2.CV_32F), np.float32)
    a, a_to_square = _centre_in_square(image_a, side)
    b, b_to_square = _centre_in_square(image_b, side)
    angle = _rotation_angle(a * window, b * window, parameters)
    candidates = [_find_shift(a, b, window, angle + half) for half in (0.0, math.pi)]
    best = max(candidates, key=lambda candidate: candidate.response)
    in_square = compose_affine(best.matrix, a_to_square)
    return RigidAlignment(compose_affine(invert_affine(b_to_square), in_square), best.response)


def _centre_in_square(image: NDArray[np.uint8], side: int) -> tuple[Field, Array]:
    """Put an image minus its mean into the middle of a square [side, side] of zeros.

    Returns the square and the matrix [2, 3] from px of the image to px of the square.
    """
    height, width = image.shape
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = image - image.mean(dtype=np.float64)
    return square, np.array([[1.0, 0.0, left], [0.0, 1.0, top]])


def _rotation_angle(a: Field, b: Field, parameters: PhaseParameters) -> float:
    """Return the angle from A to B, in rad counter-clockwise as seen, up to 180°."""
    by_angle = [np.fft.fft(_log_polar_spectrum(image, parameters), axis=0) for image in (a, b)]
    correlation = np.fft.ifft((by_angle[0].conj() * by_angle[1]).sum(1)).real
    # the rows of warpPolar run clockwise as seen
    return -float(correlation.argmax()) * 2 * math.pi / parameters.angles


def _log_polar_spectrum(image: Field, parameters: PhaseParameters) -> Field:
    """Compute the log-magnitude spectrum in log-polar coordinates, float32 [angles, radii]."""
    side, angles = len(image), parameters.angles
    magnitude = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(image)))).astype(np.float32)
    low, high = [frequency * side for frequency in parameters.frequency_range]
    radii = round(angles * math.log(high) / (2 * math.pi))  # same scale along angle and radius
    centre = (side // 2, side // 2)
    flags = cv2.WARP_POLAR_LOG | cv2.INTER_LINEAR
    polar = np.asarray(cv2.warpPolar(magnitude, (radii, angles), centre, high, flags), np.float32)
    band = polar[:, math.ceil(radii * math.log(low) / math.log(high)) :]
    return np.ascontiguousarray(band - band.mean(0))


def _find_shift(a: Field, b: Field, window: Field, angle: float) -> RigidAlignment:
    """Find the shift onto B of A rotated by `angle` about the centre of the square."""
    centre = (len(a) - 1) / 2
    rotate = rotation(angle, (centre, centre))
    rotated = cv2.warpAffine(a, rotate, a.shape[::-1], flags=cv2.INTER_CUBIC)
    (x, y), response = cv2.phaseCorrelate(np.asarray(rotated, np.float32), b, window)
    shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return RigidAlignment(compose_affine(shift, rotate), max(0.0, float(response)))
