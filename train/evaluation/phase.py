"""Phase correlation, the classical registration of whole images by a turn and a shift.

Reddy & Chatterji, "An FFT-based technique for translation, rotation, and scale-invariant image
registration", IEEE TIP 5(8), 1996: the spectrum's magnitude turns with the image and knows no
shift, so that both magnitudes in log-polar coordinates differ by a shift along the angle, which
gives the turn up to half a turn; of both turns the one is taken whose shift correlates better by
phase (Kuglin & Hines, 1975). Two departures, both in its favour: the magnitudes are compared by
plain correlation, since their phase correlation found the turn of one in nine distorted pairs where
this found all; and a change of scale is not searched for, since both prints are at one resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.warp import Array, compose_affine, invert_affine, rotation

ANGLES = 720  # of the log-polar spectrum, a full turn
BAND = (0.04, 0.25)  # cycles a px at 500 ppi: where the ridges are, from 4 to 25 px

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Aligned:
    """What phase correlation makes of two images."""

    matrix: Array  # [2, 3], px of A → px of B, a turn and a shift
    response: float  # the share of the energy that lies at the correlation's peak, in [0, 1]


def align(image_a: NDArray[np.uint8], image_b: NDArray[np.uint8]) -> Aligned:
    """The turn and shift of A onto B; images uint8 [H, W] at 500 ppi, of any sizes.

    There is always an answer; its response says how far it can be believed.
    """
    side = cv2.getOptimalDFTSize(max(*image_a.shape, *image_b.shape))
    window = np.asarray(cv2.createHanningWindow((side, side), cv2.CV_32F), np.float32)
    (a, to_a), (b, to_b) = (_framed(image, side) for image in (image_a, image_b))
    turn = _turn(a * window, b * window)
    both = (_shifted(a, b, window, turn + half) for half in (0.0, math.pi))
    best = max(both, key=lambda found: found.response)
    matrix = compose_affine(invert_affine(to_b), compose_affine(best.matrix, to_a))
    return Aligned(matrix, best.response)


def _framed(image: NDArray[np.uint8], side: int) -> tuple[Field, Array]:
    """The image less its mean in the middle of a square [side, side], and px → px of the square."""
    height, width = image.shape
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = image - image.mean(dtype=np.float64)
    return square, np.array([[1.0, 0.0, left], [0.0, 1.0, top]])


def _turn(a: Field, b: Field) -> float:
    """The angle from A to B, in rad counter-clockwise as seen, up to half a turn."""
    by_angle = [np.fft.fft(_spectrum(image), axis=0) for image in (a, b)]
    agreement = np.fft.ifft((by_angle[0].conj() * by_angle[1]).sum(1)).real
    # rows of warpPolar run clockwise as seen
    return -float(agreement.argmax()) * 2 * math.pi / ANGLES


def _spectrum(image: Field) -> Field:
    """The log-magnitude spectrum within BAND, float32 [ANGLES, radii] in log-polar coordinates."""
    side = len(image)
    magnitude = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(image)))).astype(np.float32)
    low, high = (share * side for share in BAND)
    radii = round(ANGLES * math.log(high) / (2 * math.pi))  # px as long across as along
    middle = (side // 2, side // 2)
    flags = cv2.WARP_POLAR_LOG | cv2.INTER_LINEAR
    polar = np.asarray(cv2.warpPolar(magnitude, (radii, ANGLES), middle, high, flags), np.float32)
    ring = polar[:, math.ceil(radii * math.log(low) / math.log(high)) :]
    return np.ascontiguousarray(ring - ring.mean(0))


def _shifted(a: Field, b: Field, window: Field, turn: float) -> Aligned:
    """The shift of A, turned about the square's middle, onto B."""
    middle = (len(a) - 1) / 2
    about = rotation(turn, (middle, middle))
    turned = cv2.warpAffine(a, about, a.shape[::-1], flags=cv2.INTER_CUBIC)
    (x, y), response = cv2.phaseCorrelate(np.asarray(turned, np.float32), b, window)
    shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return Aligned(compose_affine(shift, about), max(0.0, float(response)))
