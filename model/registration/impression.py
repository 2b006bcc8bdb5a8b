"""An impression prepared for registration: its pixels at 500 ppi, its ridges, its features."""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field, replace

import cv2
import jax
import numpy as np
from numpy.typing import NDArray

from model.registration.agreement import nearest_pixels
from model.registration.box import Box
from model.registration.deformation import Deformation
from model.registration.ridge_image import RidgeImage, ridge_image
from pipeline.imaging import border, cropping, orientation, polarity, preprocess
from pipeline.imaging.cropping import Crop
from pipeline.imaging.file import ImageFile
from pipeline.imaging.foreground import with_faint_ridges
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import Array, apply_affine, compose_affine, invert_affine


@dataclass(frozen=True)
class MapParameters:
    """Where a pixel has a correspondence, and how maps are computed."""

    # px at 500 ppi by which a map extends beyond the foreground of both impressions, where no faint
    # ridges continue it: the outline of the foreground is known to one of its cells
    # (`pipeline.imaging.foreground`). Measured, docs/LOG.md, 2026-11-30, "Where minutiae are lost".
    margin: int = 8
    # Rows of a map computed at a time, which bounds the memory. Chosen.
    rows_per_block: int = 256


DEFAULT = MapParameters()


@dataclass(frozen=True, eq=False)
class WindowFeatures:
    """The network's features of an impression in a window of one size.

    Attributes:
        crop: the window.
        features: [1, G, G, C].
        to_working: float64 [2, 3], px of the window → px at 500 ppi.
    """

    crop: Crop
    features: jax.Array
    to_working: Array


@dataclass(frozen=True, eq=False)
class PreparedImpression:
    """An impression that can be registered with others any number of times.

    Attributes:
        shape: (height, width) of the image file.
        prepared: the image at 500 ppi with dark ridges, its foreground and the transform back.
        resolution: of the image file.
        polarity: of the image file; where it is undecided, `prepared` has that of the file.
        orientation: number of the file's orientation tag.
        notes: remarks of the reader about the file (`ImageFile.notes`).
        features_by_size: features by the size of the window, px; computed when they are needed.
    """

    shape: tuple[int, int]
    prepared: SegmentedImage
    resolution: ImageResolution
    polarity: Polarity
    orientation: int = orientation.AS_STORED
    notes: tuple[str, ...] = ()
    features_by_size: dict[int, WindowFeatures] = field(default_factory=dict)

    @property
    def extent(self) -> float:
        """Side of the square around the crop's centre that holds the foreground, px at 500 ppi."""
        largest = 0.0
        for axis, centre in enumerate(self.prepared.centre):  # x, then y
            ends = np.flatnonzero(self.prepared.mask.any(axis))[[0, -1]]
            largest = max(largest, float(np.abs(ends - centre).max()))
        return 2 * largest + 1

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """The foreground in px of the image file, [H, W]."""
        height, width = self.shape
        mask = self.prepared.mask.astype(np.float32)
        return cv2.warpAffine(mask, self.prepared.to_original, (width, height)) > 0.5

    @functools.cached_property
    def negative(self) -> PreparedImpression:
        """The impression with dark ridges light and light ones dark."""
        return replace(self, prepared=polarity.negative(self.prepared), features_by_size={})

    @functools.cached_property
    def mask_with_faint_ridges(self) -> NDArray[np.bool_]:
        """The foreground and the faint ridges that continue it, px at 500 ppi."""
        return with_faint_ridges(self.prepared.image, self.prepared.mask)

    @functools.cached_property
    def ridge_image(self) -> RidgeImage:
        """Its ridges."""
        return ridge_image(self.prepared.image, self.prepared.mask)

    @functools.cached_property
    def rank(self) -> tuple[int, int]:
        """Sort key: the impression with the lower rank is mapped onto the other.

        The one with less foreground has it. Equal areas are ordered by the pixels, so that names do
        not matter.
        """
        return int(self.prepared.mask.sum()), zlib.crc32(self.prepared.image.tobytes())


def prepare_impression(
    image: ImageFile, resolution: ImageResolution, name: str
) -> PreparedImpression:
    """Prepare the content of an image file; Fault where it shows no finger."""
    return with_dark_ridges(preprocess.prepare_file(image, resolution.ppi, name), image, resolution)


def with_dark_ridges(
    prepared: SegmentedImage, image: ImageFile, resolution: ImageResolution
) -> PreparedImpression:
    """Return the impression, inverted where its background shows that its ridges are light."""
    shown = polarity.polarity(prepared)
    if shown is Polarity.LIGHT:
        prepared = polarity.negative(prepared)
    shape = image.stored.shape[0], image.stored.shape[1]
    return PreparedImpression(shape, prepared, resolution, shown, image.orientation, image.notes)


def with_one_inverted(
    a: PreparedImpression, b: PreparedImpression
) -> tuple[PreparedImpression, PreparedImpression]:
    """Return the pair with light and dark exchanged in the one whose polarity is undecided."""
    return (a, b.negative) if b.polarity is Polarity.UNDECIDED else (a.negative, b)


def resample_onto(
    b: PreparedImpression, deformation: Deformation, a: PreparedImpression
) -> PreparedImpression:
    """Resample B into the frame of A.

    Args:
        b: the impression to resample.
        deformation: from A to B.
        a: the impression whose frame is used.

    Returns:
        B as A would show it; light where it lies outside of B's own frame.
    """
    height, width = a.prepared.mask.shape
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    return resample_at(b, deformation.on_grid(x, y), a)


def resample_at(b: PreparedImpression, points: Array, a: PreparedImpression) -> PreparedImpression:
    """Resample B into the frame of A by the positions of A's pixels in B.

    Args:
        b: the impression to resample.
        points: float64 [H, W, 2], (x, y) px of B at 500 ppi for each pixel of A at 500 ppi.
        a: the impression whose frame is used.

    Returns:
        B as A would show it; light where it lies outside of B's own frame.
    """
    mask = cropping.on_finger(b.prepared, points)
    light = float(np.percentile(b.prepared.image, border.DEFAULT.light_percentile))
    map_x, map_y = np.moveaxis(points.astype(np.float32), -1, 0)
    image = cv2.remap(b.prepared.image, map_x, map_y, cv2.INTER_LINEAR, borderValue=light)
    prepared = replace(a.prepared, image=np.asarray(image, np.uint8), mask=mask)
    return replace(b, shape=a.shape, prepared=prepared, features_by_size={})


def map_in_file_pixels(
    deformation: Deformation,
    a: PreparedImpression,
    b: PreparedImpression,
    parameters: MapParameters = DEFAULT,
) -> NDArray[np.float32]:
    """Evaluate a deformation at every pixel of the file of A, in px of the file of B.

    Args:
        deformation: from A to B, px at 500 ppi.
        a, b: the impressions.
        parameters: see `MapParameters`.

    Returns:
        float32 [H_a, W_a, 2] (x, y); NaN off either foreground, its faint ridges and its margin.
    """
    around_a, around_b = (_widen_foreground(x, parameters.margin) for x in (a, b))
    height, width = orientation.upright(np.empty(a.shape, np.bool_), a.orientation).shape
    from_stored = invert_affine(orientation.to_stored(a.orientation, a.shape))
    to_upright = compose_affine(from_stored, a.prepared.to_original)
    (scale_x, _, left), (_, scale_y, top) = invert_affine(to_upright)
    x, y = scale_x * np.arange(width) + left, scale_y * np.arange(height) + top
    map_ab = np.full((height, width, 2), np.nan, np.float32)
    on_a = cropping.grid_on_finger(around_a, x, y)
    box = Box.around(on_a)
    rows_per_block = parameters.rows_per_block
    for start in range(box.top, box.bottom, rows_per_block):
        block = Box(start, start + rows_per_block, box.left, box.right).within(box).pixels
        rows, columns = block
        points = deformation.on_grid(x[columns], y[rows])
        valid = on_a[block] & cropping.on_finger(around_b, points)
        map_ab[block][valid] = apply_affine(b.prepared.to_original, points[valid])
    return orientation.as_stored(map_ab, a.orientation)


def _widen_foreground(impression: PreparedImpression, margin: int) -> SegmentedImage:
    """Return the image, with faint ridges and all px within `margin` px as foreground, too."""
    image = impression.prepared
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    around = np.asarray(cv2.dilate(image.mask.view(np.uint8), disc), np.uint8).view(np.bool_)
    return replace(image, mask=around | impression.mask_with_faint_ridges)


def matches_in_file_pixels(
    matches: Array, a: PreparedImpression, b: PreparedImpression
) -> NDArray[np.float32]:
    """Convert matches [K, 5], x_a, y_a, x_b, y_b and a number, to px of the files."""
    return np.c_[
        apply_affine(a.prepared.to_original, matches[:, :2]),
        apply_affine(b.prepared.to_original, matches[:, 2:4]),
        matches[:, 4],
    ].astype(np.float32)


def sigma_in_file_pixels(
    sigma: NDArray[np.float32],
    map_ab: NDArray[np.float32],
    first: PreparedImpression,
    first_is_a: bool,
    parameters: MapParameters = DEFAULT,
) -> NDArray[np.float32]:
    """Sample a field over one of two impressions at every pixel of the file of A.

    Args:
        sigma: float32 [h, w] over `first` at 250 ppi.
        map_ab: float32 [H_a, W_a, 2], from px of A's file to px of B's file.
        first: A, or B.
        first_is_a: which of them it is.
        parameters: see `MapParameters`.

    Returns:
        float32 [H_a, W_a]; NaN where the map is.
    """
    sampled = np.full(map_ab.shape[:2], np.nan, np.float32)
    to_working = invert_affine(first.prepared.to_original)
    for start in range(0, len(sampled), parameters.rows_per_block):
        block = map_ab[start : start + parameters.rows_per_block]
        y, x = np.nonzero(np.isfinite(block[..., 0]))
        points = np.c_[x, y + start] if first_is_a else block[y, x]
        pixels = nearest_pixels(apply_affine(to_working, points.astype(np.float64)), sigma.shape)
        sampled[y + start, x] = sigma[pixels]
    return sampled
