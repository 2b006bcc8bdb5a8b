"""Check the map of a pair against its images, by normalised cross-correlation of the ridges.

B is resampled into the frame of A by the pair's own map. Background and differences of contrast
are removed from both, and they are correlated at the map and at every shift of it of a few px.
A correct map has a high peak at no shift, a slightly wrong map has it elsewhere, and a wrong map
has none. A search over rotations then distinguishes a wrong map from images of different fingers.

A and B of a "genuine" pair are one image, of which B is degraded, so that other defects are in
both. Two impressions differ in more, and their floors are lower.

Lengths are px of the image, in which a ridge period is about 4 px by the published settings. Images
in which it is shorter than `CorrespondenceParameters.least_period` show no ridges and are not
compared here; `pipeline.verification` compares those of a build at every size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.record import Pair
from shards.verify.dense_map import Float, as_float, resample, upsample_map

NO_AGREEMENT = "images do not agree"


@dataclass(frozen=True)
class CorrespondenceParameters:
    """Thresholds of the check; correlations in [-1, 1], lengths in px of image A.

    "measured" refers to correct maps of synthetic and real pairs, whose correlation is never near
    the floors of "genuine" pairs. Those of two impressions: docs/LOG.md, 2026-11-23, "The
    network on the new fingers (VERSION 5)".
    """

    reach: int = 6  # px, largest shift; chosen: 1.5 ridges of the published period of 4 px
    floor_none: float = 0.5  # lowest correlation of a correct map without degradation; measured
    floor_sensor: float = 0.2  # the same with the noise "sensor"; measured
    floor_dryness: float = 0.35  # the same with the noise "dryness"; measured
    floor_pressure: float = 0.35  # the same with the noise "pressure"; measured
    floor_impressions: float = 0.2  # the same of two impressions; measured
    floor_flat: float = 0.1  # the same of two impressions where no shift is better; measured
    offset: float = 0.25  # px, largest distance of the peak from no shift; measured: up to 0.04
    flat_gain: float = 0.1  # least gain of a shift over the map of two impressions; measured
    independent_area: float = 4.0  # px² per independent value: half a ridge period squared; chosen
    # Of the gain by chance (docs/LOG.md, 2026-11-23, "The network of VERSION 6")
    chance_deviations: float = 2.0
    # Correlation of a search from which two images show one finger, at `search_size`. Measured on
    # real impostor pairs (docs/LOG.md, 2026-11-29, "Lies in a set with correct checksums"): of
    # 6,000 none is above 0.32, one in 10⁵ is expected above 0.42 in the worst of four sets.
    search_floor: float = 0.45
    search_size: int = 128  # px
    # Fewer px agree better by chance: the floor grows with this power of search_size / size. Fitted
    # to the same measurement at 96 and 64 px, where it is 0.57 and 0.81.
    search_exponent: float = 0.85
    search_gain: float = 0.2  # of a rotation over the map that is called wrong; chosen
    search_step: float = math.radians(2.5)  # rad; a third of a ridge at the edge of the patch
    search_range: tuple[float, float] = (-math.radians(65), math.radians(65))  # rad; ±60° in pairs
    least_period: float = 3.0  # px, ridge period from which images are compared; measured
    largest_period: float = 4.0  # px, to which images are reduced for a search; as published
    ridge_period: float = 9.0  # px at 500 ppi; docs/GLOSSARY.md
    published_crop: int = 288  # px at 500 ppi, of specs that do not contain it
    # Of an image and its degraded copy, in each quadrant; correct maps have 0.36 and 0.82 or more.
    quadrant_floor_sensor: float = 0.15
    quadrant_floor: float = 0.4  # of all other noise
    quadrant_area: float = 0.25  # share of a quadrant in the common area that is compared; chosen
    least_contrast: float = 0.01  # deviation of a patch that can be searched; chosen: flat images
    smoothing: float = 0.8  # px, deviation of the filter against noise; chosen
    background: float = 3.0  # px, deviation of the filter that gives the background; chosen
    contrast: float = 5.0  # px, deviation of the window of the local contrast; chosen
    least_variance: float = 4.0  # grey levels², added to the local variance; chosen: flat areas

    def floor(self, pair: Pair) -> float:
        """Return the lowest correlation of a correct map of a pair of this kind and noise."""
        if pair.kind == "genuine-impressions":
            return self.floor_impressions
        return float(getattr(self, f"floor_{pair.noise}"))

    def at_size(self, size: int) -> CorrespondenceParameters:
        """Return the parameters for images of another size in px."""
        factor = max(1.0, self.search_size / size) ** self.search_exponent
        return replace(self, search_floor=self.search_floor * factor)

    def period(self, size: int, spec: Mapping[str, Any]) -> float:
        """Return the ridge period in px of images of `size` px.

        Args:
            size: px per side.
            spec: the set's spec, of which the crop is used; it may come from anywhere.
        """
        crop = spec.get("crop")
        if type(crop) is not int or crop < 1:
            crop = self.published_crop
        return self.ridge_period * size / crop


DEFAULT = CorrespondenceParameters()


class MapAgreement(NamedTuple):
    """Correlations of the ridges of A with those of B resampled into the frame of A."""

    correlation: float  # at the map, in [-1, 1]
    best: float  # at the best shift of the map, in [-1, 1]
    shift_x: float  # px of A, the best shift
    shift_y: float


def check_map(
    pair: Pair, agreement: MapAgreement, parameters: CorrespondenceParameters = DEFAULT
) -> str | None:
    """Check a genuine pair's map by the agreement that `measure_agreement` returns.

    Returns:
        A message that describes the fault, or None.
    """
    floor, gain = parameters.floor(pair), agreement.best - agreement.correlation
    impressions = pair.kind == "genuine-impressions"
    flat = impressions and gain < least_gain(pair, parameters)
    offset = math.hypot(agreement.shift_x, agreement.shift_y)
    if agreement.best >= floor and offset > parameters.offset and not flat:
        return (
            f"map is off by ({agreement.shift_x:.1f}, {agreement.shift_y:.1f}) px: correlation"
            f" {agreement.best:.2f} at this shift, {agreement.correlation:.2f} at the map"
        )
    if agreement.correlation >= (parameters.floor_flat if flat else floor):
        return None if impressions else _check_quadrants(pair, parameters)
    rotated = search(pair.image_a, pair.image_b, parameters)
    if rotated >= max(parameters.search_floor, agreement.correlation + parameters.search_gain):
        return (
            f"map is wrong: correlation {agreement.correlation:.2f} by the map,"
            f" {rotated:.2f} after a rotation"
        )
    return f"{NO_AGREEMENT}: correlation {agreement.correlation:.2f} by their map, expected {floor}"


def _check_quadrants(pair: Pair, parameters: CorrespondenceParameters) -> str | None:
    """Check each quadrant of A by itself: a part of the images or of the map may be wrong."""
    height, width = pair.image_a.shape
    positions, common = upsample_map(pair, height, width)
    a = extract_ridges(pair.image_a, parameters) * common
    b = resample(extract_ridges(pair.image_b, parameters), positions) * common
    sensor = pair.noise == "sensor"
    floor = parameters.quadrant_floor_sensor if sensor else parameters.quadrant_floor
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            part = (rows, columns)
            energy = math.sqrt(float((a[part] ** 2).sum()) * float((b[part] ** 2).sum()))
            if common[part].mean() < parameters.quadrant_area or energy == 0:
                continue
            correlation = float((a[part] * b[part]).sum()) / energy
            if correlation < floor:
                return f"images agree in part only: correlation {correlation:.2f} in a quadrant"
    return None


def least_gain(pair: Pair, parameters: CorrespondenceParameters = DEFAULT) -> float:
    """Return the gain in correlation from which a better shift counts against the map.

    For two impressions. Smeared skin has a flat peak, and a small common area has a peak
    somewhere by chance; the chance is the deviation of a correlation of as many independent values
    as the common area has.
    """
    area = pair.image_a.size * float(pair.visible.mean())
    value = parameters.independent_area
    return parameters.flat_gain + parameters.chance_deviations * math.sqrt(value / max(area, value))


def is_inconclusive(pair: Pair, message: str) -> bool:
    """Return whether a message of `check_map` is neither for nor against the map.

    True for two impressions whose images do not agree anywhere: one may be too dry, wet or
    smeared. A few such pairs are accepted.
    """
    return pair.kind == "genuine-impressions" and message.startswith(NO_AGREEMENT)


def common_area(pair: Pair) -> NDArray[np.bool_]:
    """Return the pixels of A, bool [H, W], all of whose surrounding cells are visible in B."""
    return upsample_map(pair, *pair.image_a.shape)[1]


def measure_agreement(pair: Pair, parameters: CorrespondenceParameters = DEFAULT) -> MapAgreement:
    """Correlate the images of a genuine pair by their map; all 0 without common area."""
    reach = parameters.reach
    positions, common = upsample_map(pair, *pair.image_a.shape)
    a = extract_ridges(pair.image_a, parameters) * common
    b = resample(extract_ridges(pair.image_b, parameters), positions) * common
    energy = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    if energy == 0:
        return MapAgreement(0.0, 0.0, 0.0, 0.0)
    padded = cv2.copyMakeBorder(b, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    correlations = as_float(cv2.matchTemplate(padded, a, cv2.TM_CCORR)) / energy
    _, best, _, (column, row) = cv2.minMaxLoc(correlations)
    x = _interpolate_peak(correlations[row], column)
    y = _interpolate_peak(correlations[:, column], row)
    return MapAgreement(float(correlations[reach, reach]), best, x - reach, y - reach)


def search(
    image_a: NDArray[np.uint8],
    image_b: NDArray[np.uint8],
    parameters: CorrespondenceParameters = DEFAULT,
) -> float:
    """Return the highest correlation of A's central half anywhere in B, after any rotation.

    The search is coarse and does not use the pair's map. The result is high exactly where both
    images [H, W] show the same finger.
    """
    a, b = extract_ridges(image_a, parameters), extract_ridges(image_b, parameters)
    height, width = a.shape
    patch = a[height // 4 : height - height // 4, width // 4 : width - width // 4]
    if not patch.std() > parameters.least_contrast:
        return 0.0
    centre = ((width - 1) / 2, (height - 1) / 2)
    return max(
        float(cv2.matchTemplate(_rotate(b, angle, centre), patch, cv2.TM_CCOEFF_NORMED).max())
        for angle in np.arange(*parameters.search_range, parameters.search_step)
    )


def search_impostor(
    pair: Pair, period: float, parameters: CorrespondenceParameters = DEFAULT
) -> str | None:
    """Search an impostor pair for images of one finger.

    Args:
        pair: the pair.
        period: px, ridge period of its images; finer ones than published are reduced.
        parameters: of the search.

    Returns:
        A message that describes the fault, or None.
    """
    size = min(pair.image_a.shape)
    if period > parameters.largest_period:
        size = max(16, round(size * parameters.largest_period / period))
    images = [
        np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        for image in (pair.image_a, pair.image_b)
    ]
    parameters = parameters.at_size(size)
    correlation = search(images[0], images[1], parameters)
    if correlation < parameters.search_floor:
        return None
    return f"is an impostor pair whose images agree (correlation {correlation:.2f})"


def extract_ridges(
    image: NDArray[np.uint8], parameters: CorrespondenceParameters = DEFAULT
) -> Float:
    """Remove the background of an image [H, W] and normalise its contrast, to about [-3, 3]."""
    smooth = _blur(image.astype(np.float32), parameters.smoothing)
    smooth -= _blur(smooth, parameters.background)
    variance = _blur(smooth * smooth, parameters.contrast)
    contrast = np.sqrt(variance + np.float32(parameters.least_variance))
    return np.asarray(smooth / contrast, np.float32)


def _rotate(image: Float, angle: float, centre: tuple[float, float]) -> Float:
    matrix = cv2.getRotationMatrix2D(centre, math.degrees(angle), 1.0)
    return as_float(cv2.warpAffine(image, matrix, image.shape[::-1]))


def _blur(image: Float, deviation: float) -> Float:
    return as_float(cv2.GaussianBlur(image, (0, 0), deviation))


def _interpolate_peak(values: Float, index: int) -> float:
    """Return the position of the top of a parabola through the values around the highest one."""
    if not 0 < index < len(values) - 1:
        return float(index)
    before, top, after = values[index - 1 : index + 2].tolist()
    curvature = before - 2 * top + after
    return index + (0.5 * (before - after) / curvature if curvature < 0 else 0.0)
