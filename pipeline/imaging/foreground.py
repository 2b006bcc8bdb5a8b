"""Where the finger is in an image at 500 ppi."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.foundation.errors import Fault

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Cells = NDArray[np.float32]

CELL = 8  # px at 500 ppi, about a ridge period: the resolution of the segmentation
NEAR = 5  # cells, of the medians: what is narrower than half of it is a line and no finger
RIDGED, SHARED = 0.35, 0.15  # orientation shared by what is ridges for certain, and perhaps
STRONG_RANK = 0.75  # among the strengths of what is ridges for certain
SHARE = 0.2  # of the way from the ground's strength to that of strong ridges
WEAK = 25.0  # grey levels² at 250 ppi; a gradient of less energy says little of an orientation
STEPS = 1024.0  # of the fixed point in which orientations are averaged: alike on all machines
AREA_MIN = 64 * 64  # px at 500 ppi, ridges for certain; the worst of 160 FVC prints has 13,000
PAD = 4  # cells, so that closing does not reach for the frame


def foreground(image: Image, name: str = "image") -> Mask:
    """True where the finger is, bool [h, w], of an image uint8 [h, w] at 500 ppi.

    Cells of a ridge period are ridges for certain where their neighbours' gradients share an
    orientation (the coherence of Bazen & Gerez, "Segmentation of fingerprint images", ProRISC
    2001), however faint they are. Their strength and that of the rest, the ground, make the
    threshold, so that paper, glass and grey need no setting; medians take out what is narrow, the
    lines and letters of cards. Then closing, the largest component without holes, and opening, as
    in GMFS (Cappelli, IEEE Access 2023). Fault that calls the image `name` where no finger is
    found; large writing on a card without a print may be taken for a finger.
    """
    xx, yy, xy = _structure(image)
    strength, shared = _median(np.sqrt(xx + yy)), _shared(xx, yy, xy)
    ridged = _most(shared > RIDGED)
    _check(ridged, name)
    strong = _ranked(strength[ridged], STRONG_RANK)
    ground = 0.0 if ridged.all() else _ranked(strength[~ridged], 0.5)
    finger = (strength > ground + SHARE * (strong - ground)) & (shared > SHARED)
    mask = _clean(_most(finger).view(np.uint8))
    _check(ridged & (mask > 0), name)
    soft = cv2.GaussianBlur(mask * np.uint8(255), (3, 3), 0)
    rows, columns = mask.shape
    full = cv2.resize(soft, (columns * CELL, rows * CELL), interpolation=cv2.INTER_LINEAR)
    mask = np.asarray(cv2.threshold(full, 127, 1, cv2.THRESH_BINARY)[1], np.uint8)
    return mask[: image.shape[0], : image.shape[1]].view(np.bool_)


def _check(ridged: Mask, name: str) -> None:
    area = np.count_nonzero(ridged) * CELL * CELL
    if area < AREA_MIN:
        raise Fault(
            f"{name}: no foreground: ridges cover {area} px at 500 ppi, expected {AREA_MIN} or more"
        )


def _structure(image: Image) -> list[Cells]:
    """Structure tensor (xx, yy, xy), each float32 [h / CELL, w / CELL], exact means over a cell.

    Gradients are taken at 250 ppi, where a ridge period has four px; the outermost px, where
    scanners leave lines, repeat their neighbours. What a column or a row has all along, the stripes
    of a sensor's cells, is taken out: to a light touch beside them they look like more ridges.
    """
    down, right = (-extent % CELL for extent in image.shape)
    padded = cv2.copyMakeBorder(image[:-1, :-1], 0, 1 + down, 0, 1 + right, cv2.BORDER_REPLICATE)
    rows, columns = (extent // CELL for extent in padded.shape)
    half = cv2.resize(padded, (columns * CELL // 2, rows * CELL // 2), interpolation=cv2.INTER_AREA)
    half = cv2.copyMakeBorder(half[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    along_x, along_y = (np.asarray(gradient, np.int16) for gradient in cv2.spatialGradient(half))
    x, y = np.ascontiguousarray(_across(along_x.T).T), _across(along_y)
    return [_halved(_halved(product)) for product in (x * x, y * y, x * y)]


def _across(gradient: NDArray[np.int16]) -> Cells:
    """Gradients [N, K] across lines of K px, less the median of each line, float32 [N, K]."""
    middle = gradient.shape[1] // 2
    usual = np.partition(gradient, middle, axis=1)[:, middle, None]
    return np.asarray(gradient - usual, np.float32)


def _halved(values: Cells) -> Cells:
    """Means of 2 × 2, for which OpenCV has a fast path, as it has none for 4 × 4."""
    rows, columns = (extent // 2 for extent in values.shape)
    made = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(made, np.float32)


def _shared(xx: Cells, yy: Cells, xy: Cells) -> Cells:
    """How much of an orientation a cell and its neighbours share, 0 … 1, each counted alike."""
    weight = STEPS / (xx + yy + np.float32(WEAK))
    differ, cross = (
        np.asarray(cv2.GaussianBlur(np.rint(part * weight), (3, 3), 0), np.float32)
        for part in (xx - yy, 2 * xy)
    )
    return np.asarray(np.sqrt(differ * differ + cross * cross) / STEPS, np.float32)


def _median(cells: Cells) -> Cells:
    """The median of NEAR × NEAR cells around each; beyond the frame all are 0."""
    reach = NEAR // 2
    padded = cv2.copyMakeBorder(cells, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.medianBlur(padded, NEAR)[reach:-reach, reach:-reach], np.float32)


def _most(cells: Mask) -> Mask:
    """The same of truth values: whether most of NEAR × NEAR are true."""
    near, flat = (NEAR, NEAR), cv2.BORDER_CONSTANT
    count = cv2.boxFilter(cells.view(np.uint8), -1, near, normalize=False, borderType=flat)
    return np.asarray(count > NEAR * NEAR // 2)


def _ranked(values: Cells, share: float) -> float:
    """The value that `share` of the others do not pass; numpy.percentile is five times slower."""
    k = int(share * (len(values) - 1))
    return float(np.partition(values, k)[k])


def _clean(mask: Image) -> Image:
    """Closing, largest component without holes, opening, largest component; uint8 0 or 1."""
    closing, opening = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (s, s)) for s in (7, 7))
    mask = np.asarray(cv2.copyMakeBorder(mask, PAD, PAD, PAD, PAD, cv2.BORDER_CONSTANT), np.uint8)
    mask = _largest(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, closing), np.uint8))
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.asarray(cv2.drawContours(mask, outline, -1, 1, cv2.FILLED), np.uint8)
    mask = _largest(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, opening), np.uint8))
    return np.ascontiguousarray(mask[PAD:-PAD, PAD:-PAD])


def _largest(mask: Image) -> Image:
    """The largest connected component, uint8 0 or 1; empty where there is none."""
    count, labels = cv2.connectedComponents(mask)
    if count <= 2:  # the ground and one component
        return mask
    areas = np.bincount(np.asarray(labels, np.int32).ravel())
    return np.asarray(labels == 1 + int(np.argmax(areas[1:])), np.uint8)
