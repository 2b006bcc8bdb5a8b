"""Ridges of an impression at 250 ppi with equal tone and contrast all over the finger.

At 250 ppi a ridge period is 4 to 5 px: more pixels carry no more information about ridges.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


@dataclass(frozen=True)
class RidgeImageParameters:
    """Parameters of `ridge_image`. Lengths are px at 500 ppi."""

    # Standard deviation of the window in which tone and contrast are measured. Chosen: about a
    # ridge period.
    window: float = 8.0
    # Grey levels added to the contrast, so that flat background stays flat. Chosen.
    contrast_floor: float = 5.0
    # Range of the result in units of the local contrast. Chosen.
    ridge_range: tuple[float, float] = (-2.0, 2.0)


DEFAULT = RidgeImageParameters()


@dataclass(frozen=True, eq=False)
class RidgeImage:
    """Ridges of an impression at 250 ppi; pixel k covers pixels 2k and 2k + 1 at 500 ppi.

    Attributes:
        ridges: float32 [h, w], local mean 0 and contrast 1; 0 off the finger. Ridges are negative.
        mask: float32 [h, w], 1 on the finger, else 0.
        shape: (height, width) of the image at 500 ppi.
    """

    ridges: Field
    mask: Field
    shape: tuple[int, int]


def ridge_image(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    parameters: RidgeImageParameters = DEFAULT,
) -> RidgeImage:
    """Normalise the ridges of an image uint8 [H, W] at 500 ppi with its foreground bool [H, W]."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    even = image[: 2 * height, : 2 * width]
    grey = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    finger = mask[: 2 * height : 2, : 2 * width : 2].astype(np.float32)
    window = parameters.window
    share = np.maximum(blur(finger, window), np.float32(1e-3))
    centred = np.asarray((grey - blur(grey * finger, window) / share) * finger, np.float32)
    deviation: Field = np.sqrt(blur(centred**2, window) / share)
    contrast = deviation + np.float32(parameters.contrast_floor)
    ridges: Field = np.clip(centred / contrast, *parameters.ridge_range)
    return RidgeImage(ridges, finger, (image.shape[0], image.shape[1]))


def blur(field: Field, deviation: float) -> Field:
    """Blur a field at 250 ppi by a Gaussian of `deviation` px at 500 ppi; 0 beyond its frame."""
    blurred = cv2.GaussianBlur(field, (0, 0), deviation / 2, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)
