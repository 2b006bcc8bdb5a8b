"""Images of two registered impressions in the frame of A: B resampled, ridges laid over ridges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[float, float, float]
ColourImage = NDArray[np.uint8]  # [H, W, 3], red green blue
GreyImage = NDArray[np.uint8]  # [H, W], dark ridges
Ink = NDArray[np.float32]  # [H, W], amount of ridge in [0, 1]
Mask = NDArray[np.bool_]  # [H, W]
Foregrounds = tuple[Mask | None, Mask | None]  # foregrounds of A and of B, None where not known
UNKNOWN: Foregrounds = (None, None)


@dataclass(frozen=True)
class OverlayParameters:
    """Colours of the ridges. All are chosen."""

    ridges_a: Rgb = (0.84, 0.19, 0.15)  # red
    ridges_b: Rgb = (0.13, 0.40, 0.67)  # blue


@dataclass(frozen=True)
class InkParameters:
    """Parameters of `ridge_ink`. All are chosen."""

    window: float = 1 / 50  # standard deviation, in sides of the image: about a ridge period
    finger_percentile: float = 75.0  # of the contrast, by which the finger is told from background
    # Contrast over that percentile below which nothing is ridge, and above which everything is.
    contrast_range: tuple[float, float] = (0.1, 0.2)
    contrast_floor: float = 1.0  # grey levels added to the contrast, so that flat areas stay flat
    offset: float = 0.15  # ink at the local mean of the grey levels


OVERLAY, INK = OverlayParameters(), InkParameters()


def ridge_ink(image: NDArray, finger: Mask | None = None, parameters: InkParameters = INK) -> Ink:
    """Return the amount of ridge relative to the local tone and contrast.

    Faint ridges get as much ink as strong ones.

    Args:
        image: [H, W] with dark ridges. NaN counts as background.
        finger: its foreground; None to take areas of far less contrast than most of the image for
            background.
        parameters: see `InkParameters`.
    """
    valid = np.isfinite(image).astype(np.float32)
    if finger is not None:
        valid *= finger
    grey = np.nan_to_num(np.asarray(image, np.float32))
    deviation = max(image.shape) * parameters.window
    share = np.maximum(cv2.GaussianBlur(valid, (0, 0), deviation), 1e-3)

    def local_mean(values: NDArray) -> NDArray:
        return cv2.GaussianBlur(values * valid, (0, 0), deviation) / share

    darkness = local_mean(grey) - grey
    contrast = np.sqrt(local_mean(darkness**2)) + parameters.contrast_floor
    ink = np.clip(parameters.offset + (1 - parameters.offset) * darkness / contrast, 0, 1) * valid
    if finger is None and valid.any():
        usual = np.percentile(contrast[valid > 0], parameters.finger_percentile)
        ink = ink * _ramp(contrast / usual, parameters.contrast_range)
    return np.asarray(ink, np.float32)


def _ramp(values: NDArray, ends: tuple[float, float]) -> NDArray:
    """Return 0 below the first end, 1 above the second, linear between."""
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)


def overlay(
    image_a: GreyImage,
    image_b: NDArray[np.float32],
    finger_a: Mask | None = None,
    finger_b: Mask | None = None,
) -> ColourImage:
    """Plot ridges of A in red and of B in blue on white; dark where they coincide.

    Args:
        image_a: [H, W].
        image_b: [H, W], B in the frame of A.
        finger_a, finger_b: the foreground of each in the frame of A, see `ridge_ink`.
    """
    ink_a, ink_b = ridge_ink(image_a, finger_a)[..., None], ridge_ink(image_b, finger_b)[..., None]
    white = np.ones(3)
    shown_a = 1 - ink_a * (white - np.array(OVERLAY.ridges_a))
    shown_b = 1 - ink_b * (white - np.array(OVERLAY.ridges_b))
    return np.round(255 * shown_a * shown_b).astype(np.uint8)


def even_contrast(image: GreyImage, finger: Mask | None = None, darkest: int = 0) -> GreyImage:
    """Return the ridges of an image with equal contrast everywhere, `darkest` … 255 (white)."""
    return np.round(255 - (255 - darkest) * ridge_ink(image, finger)).astype(np.uint8)


def with_polarity_of_a(image_b: GreyImage, opposite_polarity: bool) -> GreyImage:
    """Return B with ridges as dark or light as those of A."""
    return 255 - image_b if opposite_polarity else image_b
