"""Check the map of two impressions by the crops of both, quadrant by quadrant.

The crops have neither the noise nor the warp of image B, so that they agree better than the images
of a record. A map that is turned, or wrong in a part, agrees better at another shift in some
quadrant, even where the shift is right on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.imaging.file import Image
from pipeline.imaging.warp import Warp
from shards.record import Pair
from shards.verify.check_correspondence import extract_ridges
from shards.verify.dense_map import as_float, resample, upsample_map


@dataclass(frozen=True)
class CropAgreementParameters:
    """Thresholds of the comparison of two crops; lengths in px of a crop.

    Of 2,500 correct maps none has a quadrant with any gain beyond chance at a shift of `offset`
    (docs/LOG.md, 2026-11-29, "Lies in a set with correct checksums").
    """

    reach: int = 4  # largest shift; chosen: a ridge period of the published settings
    offset: float = 0.9  # least shift that counts against a map; chosen: a fifth of a ridge period
    gain: float = 0.15  # least gain in correlation beyond chance; measured: 0.00 in correct maps
    area: float = 0.4  # share of a quadrant in the common area that is compared; chosen
    # px² per independent value, and deviations of the gain by chance, as for the images of a record
    # (shards.verify.check_correspondence).
    independent_area: float = 4.0
    chance_deviations: float = 2.0


DEFAULT = CropAgreementParameters()


class Disagreement(NamedTuple):
    """A quadrant in which another shift agrees better than the map."""

    shift: float  # px
    correlation: float  # at the map, in [-1, 1]
    best: float  # at the shift


def find_disagreement(
    pair: Pair, crop_b: Image, warp: Warp, parameters: CropAgreementParameters = DEFAULT
) -> Disagreement | None:
    """Compare the crops of two impressions by the map of a pair.

    Args:
        pair: a pair of two impressions; its image A is the crop of A.
        crop_b: uint8 [size, size], the crop of B without noise and warp.
        warp: of image B, px of B → px of its crop.
        parameters: thresholds.

    Returns:
        The first quadrant that contradicts the map, or None.
    """
    in_crop_b = np.full_like(pair.map_ab, np.nan)
    in_crop_b[pair.visible] = warp(pair.map_ab[pair.visible].astype(np.float64))
    positions, common = upsample_map(replace(pair, map_ab=in_crop_b), *pair.image_a.shape)
    a = extract_ridges(pair.image_a) * common
    b = resample(extract_ridges(crop_b), positions) * common
    half, reach = len(a) // 2, parameters.reach
    for top in (0, half):
        for left in (0, half):
            part = (slice(top, top + half), slice(left, left + half))
            energy = math.sqrt(float((a[part] ** 2).sum()) * float((b[part] ** 2).sum()))
            area = int(common[part].sum())
            if area < parameters.area * half * half or energy == 0:
                continue
            padded = cv2.copyMakeBorder(b[part], reach, reach, reach, reach, cv2.BORDER_CONSTANT)
            correlations = as_float(cv2.matchTemplate(padded, a[part], cv2.TM_CCORR)) / energy
            _, best, _, (column, row) = cv2.minMaxLoc(correlations)
            shift, here = math.hypot(column - reach, row - reach), float(correlations[reach, reach])
            deviation = math.sqrt(parameters.independent_area / area)
            chance = parameters.chance_deviations * deviation
            if shift >= parameters.offset and best - here >= parameters.gain + chance:
                return Disagreement(shift, here, best)
    return None
