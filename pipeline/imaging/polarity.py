"""Tell images with light ridges from those with dark ridges, and invert them.

The background beside a finger is as light as its valleys or lighter, on paper, glass and a chip's
grey alike. Where it is as dark as the darkest parts of the finger, the image is inverted. Where the
finger fills the image, its margin is too small or neither, and the image alone does not decide:
`model.registration.registrar` then tries both. Error rates: docs/LOG.md, 2026-11-29, "Light ridges
that fill the image".
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.preprocess import SegmentedImage


class Polarity(Enum):
    """Whether ridges are dark or light."""

    DARK = "dark ridges"
    LIGHT = "light ridges"
    UNDECIDED = "dark or light ridges"


@dataclass(frozen=True)
class PolarityParameters:
    """Settings of the detection, chosen; their error rates are in docs/LOG.md."""

    # px at 500 ppi between the px that are measured: every fourth costs a sixteenth of the time.
    step: int = 4
    # px at 500 ppi from the finger, between which the background is measured.
    distance_range: tuple[int, int] = (8, 32)
    # Share of the finger's area; less background beside the finger decides nothing, as it may be
    # ridges. The least of 320 whole images of FVC2002 and FVC2004 is 0.14.
    ground_min: float = 0.1
    # Deviation of the detail of the background, as a share of that of the finger; what is rougher
    # may be ridges. Detail is what a mean over `detail_size` px, two ridge periods, takes away. Of
    # 35 parts of those images in which dark skin passed for background, the least has 0.42; of the
    # whole images 19 in 20 have less than 0.33.
    roughness_max: float = 0.37
    detail_size: int = 17
    # px at 500 ppi, side of the square over which the finger's mean grey is subtracted, so that
    # uneven light does not count: the corners of a lens are darker than its middle.
    light_size: int = 140
    # Percentiles of the finger's greys that stand for ridges and valleys.
    grey_percentiles: tuple[float, float] = (10, 90)
    # Shares of the way from the ridges' grey to the valleys': a background below the first is dark,
    # above the second light. The least of those 320 images is 0.68.
    dark_share: float = 0.3
    light_share: float = 0.6


DEFAULT = PolarityParameters()


def negative(prepared: SegmentedImage) -> SegmentedImage:
    """Return the image with dark ridges light and light ones dark."""
    return dataclasses.replace(prepared, image=255 - prepared.image)


def polarity(prepared: SegmentedImage, parameters: PolarityParameters = DEFAULT) -> Polarity:
    """Return the polarity that the background beside the finger shows."""
    step = parameters.step
    # Copies: NumPy and OpenCV are slow where px do not lie beside each other.
    image = np.ascontiguousarray(prepared.image[::step, ::step])
    finger = np.ascontiguousarray(prepared.mask[::step, ::step])
    beside = _beside(finger, parameters)
    if np.count_nonzero(beside) < parameters.ground_min * np.count_nonzero(finger):
        return Polarity.UNDECIDED
    tone = np.asarray(cv2.blur(prepared.image, (parameters.detail_size,) * 2), np.uint8)
    detail = cv2.subtract(image, tone[::step, ::step], dtype=cv2.CV_16S)
    if _deviation(detail, beside) > parameters.roughness_max * _deviation(detail, finger):
        return Polarity.UNDECIDED
    even = image - _mean_of_the_finger(image, finger, parameters.light_size // step)
    greys = np.sort(even[finger])  # several times as fast as numpy.percentile
    ridges, valleys = (greys[int(p / 100 * (len(greys) - 1))] for p in parameters.grey_percentiles)
    ground = np.median(even[beside])
    if ground < ridges + parameters.dark_share * (valleys - ridges):
        return Polarity.LIGHT
    if ground < ridges + parameters.light_share * (valleys - ridges):
        return Polarity.UNDECIDED
    return Polarity.DARK


def _beside(finger: Mask, parameters: PolarityParameters) -> Mask:
    """Return the background beside the finger; both masks show every `step`-th px."""
    distance = cv2.distanceTransform((~finger).view(np.uint8), cv2.DIST_L2, 5)
    inner, outer = (length / parameters.step for length in parameters.distance_range)
    return np.asarray((distance > inner) & (distance <= outer))


def _deviation(values: cv2.typing.MatLike, mask: Mask) -> float:
    """Return the standard deviation of the values in a mask."""
    return float(cv2.meanStdDev(values, mask=mask.view(np.uint8))[1].item())


def _mean_of_the_finger(image: Image, finger: Mask, size: int) -> NDArray[np.float32]:
    """Return the mean grey of the finger's px in a square of `size` px around each px, [H, W].

    Px without any finger in their square get the mean of the whole finger.
    """
    weight = finger.view(np.uint8)
    share, total = (
        cv2.boxFilter(part, cv2.CV_32F, (size, size)) for part in (weight, image * weight)
    )
    whole = np.float32(cv2.mean(image, weight)[0])
    return np.where(share > 0, total / np.maximum(share, np.float32(1e-6)), whole)
