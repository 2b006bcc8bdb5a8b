"""The crops of a registered pair for a matcher: A, and B resampled onto A by their dense map."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model.network.weights import CropGeometry
from model.registration.distortion import DenseMap
from model.registration.impression import (
    PreparedImpression,
    prepare_impression,
    resample_at,
    with_one_inverted,
)
from model.registration.registered_pair import ImageSource, RegisteredPair
from model.registration.result import Registration
from pipeline.imaging import file
from pipeline.imaging.cropping import extract_crop
from pipeline.imaging.file import ImageFile
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import Array, apply_affine, invert_affine, pixel_grid
from shards.foundation.errors import Misuse

OUTSIDE = -1e4  # a position outside of any image


class AlignedCrops(NamedTuple):
    """Crops around the centre of A's foreground, with dark ridges.

    Attributes:
        image_a: uint8 [S, S], A.
        image_b: uint8 [S, S], B as A would show it; light where nothing corresponds.
        common: bool [S, S], where both show the finger.
    """

    image_a: NDArray[np.uint8]
    image_b: NDArray[np.uint8]
    common: NDArray[np.bool_]


def align_crops(pair: RegisteredPair, geometry: CropGeometry) -> AlignedCrops:
    """Cut the crop of A, and the same crop of B resampled onto A.

    Args:
        pair: the registered pair, with its images.
        geometry: of the crops of the network that will get them.

    Raises:
        Misuse: the pair has no map, or no images as it was loaded from a file.
        Fault: an image file cannot be read again.
    """
    registration = pair.registration
    if not np.isfinite(pair.map_ab).any():
        reason = registration.refusal or registration.score_text
        raise Misuse(f"aligned crops: the pair has no map to align B by: {reason}")
    resolution_a, resolution_b = registration.resolutions
    a = _prepare(pair.source_a, resolution_a, "image A")
    b = _prepare(pair.source_b, resolution_b, "image B")
    a, b = _of_one_polarity(a, b, registration)
    aligned = resample_at(b, _positions_in_b(a, b, pair.map_ab), a)
    crop_a, crop_b = (
        extract_crop(each.prepared, geometry.crop, geometry.size) for each in (a, aligned)
    )
    return AlignedCrops(crop_a.image, crop_b.image, crop_a.mask & crop_b.mask)


def _prepare(source: ImageSource, resolution: ImageResolution, name: str) -> PreparedImpression:
    """Prepare an image of a pair as it was prepared for the registration."""
    if source is None:
        raise Misuse("aligned crops: a registration that was loaded has no images; register again")
    if isinstance(source, Path):
        return prepare_impression(file.load(source), resolution, str(source))
    return prepare_impression(ImageFile(source), resolution, name)


def _of_one_polarity(
    a: PreparedImpression, b: PreparedImpression, registration: Registration
) -> tuple[PreparedImpression, PreparedImpression]:
    """Invert the undecided impression where the registration found that polarities differ."""
    known = (a.polarity is Polarity.LIGHT) != (b.polarity is Polarity.LIGHT)
    if registration.opposite_polarity == known:
        return a, b
    return with_one_inverted(a, b)


def _positions_in_b(a: PreparedImpression, b: PreparedImpression, map_ab: DenseMap) -> Array:
    """Return the position of each pixel of A in B, both at 500 ppi; OUTSIDE where there is none."""
    pixels = apply_affine(a.prepared.to_original, pixel_grid(*a.prepared.mask.shape))
    x, y = np.moveaxis(pixels.astype(np.float32), -1, 0)
    nowhere = (np.nan,) * 4
    in_file = cv2.remap(map_ab, x, y, cv2.INTER_LINEAR, borderValue=nowhere)
    points = apply_affine(invert_affine(b.prepared.to_original), np.asarray(in_file, np.float64))
    return np.where(np.isfinite(points), points, OUTSIDE)
