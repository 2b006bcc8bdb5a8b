"""Segment the foreground: the pixels of an image at 500 ppi that show ridges of the finger."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.file import Image
from shards.foundation.errors import Fault

Mask = NDArray[np.bool_]  # [H, W]
Cells = NDArray[np.float32]  # [rows, columns], one value per cell

FIXED_POINT = 1024.0  # steps per unit in sums of orientations: the same on all processors


@dataclass(frozen=True)
class ForegroundParameters:
    """Settings of the segmentation, chosen on FVC2002 against the masks of SUFS and on synthetic
    cards (docs/LOG.md, 2026-11-22, "The foreground").
    """

    # px per cell at 500 ppi, the resolution of the segmentation: about one ridge period. A power
    # of two from 4 on, as cells are averaged by halving.
    cell: int = 8
    # cells per side of the median filters; what is narrower than half of it is a line, no finger.
    median_size: int = 5
    # Coherence in [0, 1] of certain ridges, and the least of any ridges.
    certain_coherence: float = 0.35
    possible_coherence: float = 0.15
    # Quantile of the strengths of certain ridges that stands for strong ridges.
    strong_quantile: float = 0.75
    # Threshold of the strength, as a share of the way from the background's to strong ridges; and
    # that of `with_faint_ridges`. Measured, docs/LOG.md, 2026-12-01, "Ridges that fade out".
    strength_share: float = 0.2
    faint_share: float = 0.05
    # Grey levels² at 250 ppi; the orientation of a gradient of less energy counts little.
    weak_energy: float = 25.0
    # px² at 500 ppi, certain ridges in an image with a finger; the least of 160 images of FVC2002
    # has 13,000.
    area_min: int = 64 * 64
    # cells per side of the ellipses of the closing and of the opening.
    closing_size: int = 7
    opening_size: int = 7
    # cells around the mask, so that the closing does not extend it to the frame.
    padding: int = 4


DEFAULT = ForegroundParameters()


def foreground(
    image: Image, name: str = "image", parameters: ForegroundParameters = DEFAULT
) -> Mask:
    """Segment the finger in an image at 500 ppi.

    Cells of one ridge period are certain ridges where the gradients around them share an
    orientation (the coherence of Bazen and Gerez, "Segmentation of fingerprint images", ProRISC
    2001), at any contrast. Their strength and that of the other cells, the background, give the
    threshold, so that paper, glass and grey need no settings of their own. Median filters remove
    narrow structures, the lines and letters of cards. Then follow closing, the largest component
    without holes, and opening, as in GMFS (Cappelli, IEEE Access 2023). Large writing on a card
    without a fingerprint may be segmented as a finger.

    Args:
        image: uint8 [H, W] at 500 ppi.
        name: the image's name in error messages.
        parameters: settings of the segmentation.

    Returns:
        bool [H, W], true on the finger.

    Raises:
        Fault: the certain ridges cover less than `parameters.area_min`.
    """
    strength, coherence, certain = _measure_ridges(image, parameters)
    _check_area(certain, name, parameters)
    threshold = _strength_threshold(strength, certain, parameters.strength_share, parameters)
    cells = _cells_above(threshold, strength, coherence, parameters)
    _check_area(certain & (cells > 0), name, parameters)
    return _enlarge(cells, parameters.cell, image)


def with_faint_ridges(image: Image, mask: Mask, parameters: ForegroundParameters = DEFAULT) -> Mask:
    """Extend a foreground by the ridges around it that fade out.

    They are found as the foreground is, at a lower strength. They may be too weak to be matched,
    but minutiae are found there.

    Args:
        image: uint8 [H, W] at 500 ppi.
        mask: its foreground.
        parameters: settings of the segmentation.

    Returns:
        bool [H, W], true on the foreground as well; the foreground alone where the faint ridges do
        not continue it.
    """
    strength, coherence, certain = _measure_ridges(image, parameters)
    if not certain.any():
        return mask
    threshold = _strength_threshold(strength, certain, parameters.faint_share, parameters)
    cells = _cells_above(threshold, strength, coherence, parameters)
    wide = _enlarge(cells, parameters.cell, image)
    return mask | wide if (mask & wide).any() else mask


def _measure_ridges(image: Image, parameters: ForegroundParameters) -> tuple[Cells, Cells, Mask]:
    """Return the strength and the coherence of the cells, and which are certain ridges."""
    xx, yy, xy = _structure_tensor(image, parameters.cell)
    strength = _median(np.sqrt(xx + yy), parameters.median_size)
    coherence = _coherence(xx, yy, xy, parameters.weak_energy)
    certain = _majority(coherence > parameters.certain_coherence, parameters.median_size)
    return strength, coherence, certain


def _cells_above(
    threshold: float, strength: Cells, coherence: Cells, parameters: ForegroundParameters
) -> Image:
    """Return the cells of ridges that are stronger than a threshold, cleaned; uint8 0 or 1."""
    possible = (strength > threshold) & (coherence > parameters.possible_coherence)
    ridges = _majority(possible, parameters.median_size)
    return _clean(ridges.view(np.uint8), parameters)


def _check_area(certain: Mask, name: str, parameters: ForegroundParameters) -> None:
    area = np.count_nonzero(certain) * parameters.cell**2
    if area < parameters.area_min:
        raise Fault(
            f"{name}: no foreground: ridges cover {area} px at 500 ppi, expected "
            f"{parameters.area_min} or more"
        )


def _structure_tensor(image: Image, cell: int) -> tuple[Cells, Cells, Cells]:
    """Return the structure tensor xx, yy, xy: exact means over cells of `cell` px.

    Gradients are computed at 250 ppi, where a ridge period has 4 px; the outermost px, where
    scanners leave lines, repeat their neighbours. The median along each column and each row, the
    stripes of a sensor, is subtracted: beside a light impression they look like more ridges
    (docs/LOG.md, 2026-11-23, "Sensor stripes in the foreground").
    """
    height, width = image.shape
    below, right = 1 + -height % cell, 1 + -width % cell
    padded = cv2.copyMakeBorder(image[:-1, :-1], 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // 2, padded.shape[0] // 2)
    half = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    half = cv2.copyMakeBorder(half[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    along_x, along_y = cv2.spatialGradient(half)
    # OpenCV transposes five times as fast as NumPy.
    x = np.asarray(cv2.transpose(_subtract_median(cv2.transpose(along_x))), np.float32)
    y = _subtract_median(along_y)
    return _average(x * x, cell // 2), _average(y * y, cell // 2), _average(x * y, cell // 2)


def _subtract_median(gradient: cv2.typing.MatLike) -> Cells:
    """Return gradients int16 [N, K] less the median of each line of K px, float32 [N, K]."""
    middle = gradient.shape[1] // 2
    median = np.partition(gradient, middle, axis=1)[:, middle, None]
    return np.asarray(gradient - median, np.float32)


def _average(values: Cells, side: int) -> Cells:
    """Return means over side × side px, by halving: OpenCV has a fast path for 2 × 2, not 4 × 4."""
    while side > 1:
        size = (values.shape[1] // 2, values.shape[0] // 2)
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
        side //= 2
    return values


def _coherence(xx: Cells, yy: Cells, xy: Cells, weak_energy: float) -> Cells:
    """Return in [0, 1] how far the orientations of 3 × 3 cells agree, each of equal weight."""
    weight = FIXED_POINT / (xx + yy + np.float32(weak_energy))
    cosine, sine = _blur((xx - yy) * weight), _blur(2 * xy * weight)
    return np.asarray(np.sqrt(cosine * cosine + sine * sine) / FIXED_POINT, np.float32)


def _blur(cells: Cells) -> Cells:
    return np.asarray(cv2.GaussianBlur(np.rint(cells), (3, 3), 0), np.float32)


def _median(cells: Cells, size: int) -> Cells:
    """Return the median of size × size cells around each one; beyond the frame all are 0."""
    reach = size // 2
    padded = cv2.copyMakeBorder(cells, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.medianBlur(padded, size)[reach:-reach, reach:-reach], np.float32)


def _majority(cells: Mask, size: int) -> Mask:
    """Return whether most of size × size cells are true: the median of truth values."""
    flat = cv2.BORDER_CONSTANT
    count = cv2.boxFilter(cells.view(np.uint8), -1, (size, size), normalize=False, borderType=flat)
    return np.asarray(count > size * size // 2)


def _strength_threshold(
    strength: Cells, certain: Mask, share: float, parameters: ForegroundParameters
) -> float:
    """Return the strength a share of the way from the background's to that of strong ridges."""
    strong = _quantile(strength[certain], parameters.strong_quantile)
    ground = 0.0 if certain.all() else _quantile(strength[~certain], 0.5)
    return ground + share * (strong - ground)


def _quantile(values: Cells, share: float) -> float:
    """Return the lower quantile; numpy.percentile is five times slower."""
    k = int(share * (len(values) - 1))
    return float(np.partition(values, k)[k])


def _clean(cells: Image, parameters: ForegroundParameters) -> Image:
    """Apply closing, largest component without holes, opening, largest component; uint8 0 or 1."""
    closing, opening = _ellipse(parameters.closing_size), _ellipse(parameters.opening_size)
    p = parameters.padding
    mask = np.asarray(cv2.copyMakeBorder(cells, p, p, p, p, cv2.BORDER_CONSTANT), np.uint8)
    mask = _largest_component(
        np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, closing), np.uint8)
    )
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.asarray(cv2.drawContours(mask, outline, -1, 1, cv2.FILLED), np.uint8)
    mask = _largest_component(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, opening), np.uint8))
    return np.ascontiguousarray(mask[p:-p, p:-p])


def _ellipse(size: int) -> cv2.typing.MatLike:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _largest_component(mask: Image) -> Image:
    """Return the largest connected component, uint8 0 or 1; empty if there is none."""
    count, labels = cv2.connectedComponents(mask)
    if count <= 2:  # the background and one component
        return mask
    areas = np.bincount(np.asarray(labels, np.int32).ravel())
    return np.asarray(labels == 1 + int(np.argmax(areas[1:])), np.uint8)


def _enlarge(cells: Image, cell: int, image: Image) -> Mask:
    """Return the mask of an image from its cells uint8 0 or 1, with smooth outlines."""
    soft = cv2.GaussianBlur(cells * np.uint8(255), (3, 3), 0)
    size = (cells.shape[1] * cell, cells.shape[0] * cell)
    enlarged = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR)
    binary = cv2.threshold(enlarged, 127, 1, cv2.THRESH_BINARY)[1]
    return np.asarray(binary, np.uint8).view(np.bool_)[: image.shape[0], : image.shape[1]]
