"""Brings ridges onto ridges: a map that is right to a few px becomes right to a fraction of one.

B is carried into A's frame by the map, both are compared around nodes all over the overlap by local
normalised correlation, and the map is bent by the shifts that fit best (Lewis, "Fast normalized
cross-correlation", Vision Interface 1995). First the shifts of all nodes are chosen together, over
two ridges and more (`model.registration.mrf`); then each by itself, ever closer. At 250 ppi, where a ridge
period is 4 to 5 px: more pixels carry no more ridges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration import deformation, mrf
from model.registration.deformation import Deformation
from pipeline.imaging.warp import Array

# All lengths in px at 500 ppi.
STAGES = ((14.0, 16), (16.0, 4), (12.0, 4))  # deviation of the window, largest shift
PERIOD = 9  # of ridges; a shift that may be as large must be told from one to the next ridge
BEND, MOST = 0.05, 0.5  # correlation that neighbours' shifts cost, 2 px apart, and at most
SPACING = 20  # between nodes, and more where NODES of them would not cover the overlap
NODES = 500
FEWEST = 6  # matches that the map is bent by
LOCAL = 8.0  # deviation of the window that tone and contrast are taken from
FLAT = 5.0  # grey values of contrast that are added, so that paper stays flat
AGREEMENT_WINDOW = 16.0
LEAST_CORRELATION = 0.15  # of a shift that counts
LEAST_OVERLAP = 0.4  # share of a window that both prints must fill
FADE = (0.2, 0.5)  # share of a window from which, and to which, it has ever more say among others
LEAST_AREA = 96 * 96  # overlap that a full score needs

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RidgeImage:
    """A print's ridges at 250 ppi: float32 [h, w], tone 0 and contrast 1 all over the finger."""

    ridges: Field  # 0 off the finger
    mask: Field  # 1 on the finger, else 0
    shape: tuple[int, int]  # of the image at 500 ppi, (height, width)


@dataclass(frozen=True, eq=False)
class Correlation:
    """How well windows of A around nodes fit B carried onto it, by the shift of B."""

    nodes: Array  # [Ny, Nx, 2], (x, y) px at 500 ppi in A
    overlap: Field  # [Ny, Nx], share of the window that both prints fill
    by_shift: Field  # [S, S, Ny, Nx], by shift along y, then x, of -S // 2 … S // 2 px at 250 ppi
    spacing: int  # px at 500 ppi between nodes


def ridge_image(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> RidgeImage:
    """The ridges of an image uint8 [H, W] at 500 ppi with its foreground bool [H, W]."""
    height, width = (extent // 2 for extent in image.shape)
    even = image[: 2 * height, : 2 * width]
    grey = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    on = mask[: 2 * height : 2, : 2 * width : 2].astype(np.float32)
    share = np.maximum(_blurred(on, LOCAL), np.float32(1e-3))
    lighter = np.asarray((grey - _blurred(grey * on, LOCAL) / share) * on, np.float32)
    contrast: Field = np.sqrt(_blurred(lighter**2, LOCAL) / share) + np.float32(FLAT)
    ridges: Field = np.clip(lighter / contrast, -2, 2)
    return RidgeImage(ridges, on, (image.shape[0], image.shape[1]))


def align_ridges(found: Deformation, a: RidgeImage, b: RidgeImage) -> tuple[Deformation, float]:
    """The map with A's ridges brought onto B's, and `agreement` of it.

    `found` itself where nothing better comes of it.
    """
    current, best, score = found, found, ridge_correlation(found, a, b)
    for window, reach in STAGES:
        view = correlate(current, a, b, window, reach)
        matches = shifts(current, view, _jointly(view) if reach > PERIOD else _alone(view))
        if len(matches) < FEWEST:
            break
        current = deformation.add_displacement(current, matches)
        agreed = ridge_correlation(current, a, b)
        if agreed > score:
            best, score = current, agreed
    return best, score


def ridge_correlation(found: Deformation, a: RidgeImage, b: RidgeImage) -> float:
    """Mean correlation of A's ridges with those that the map brings onto them, in [0, 1].

    An overlap below LEAST_AREA lowers it in proportion: few ridges agree by chance.
    """
    view = correlate(found, a, b, AGREEMENT_WINDOW, 0)
    seen = view.overlap > LEAST_OVERLAP
    if not seen.any():
        return 0.0
    mean = max(0.0, float(view.by_shift[0, 0][seen].mean()))
    return min(1.0, mean) * min(1.0, float(seen.sum()) * view.spacing**2 / LEAST_AREA)


def shifts(found: Deformation, view: Correlation, chosen: NDArray[np.int64]) -> Array:
    """Matches float64 [K, 5] from nodes of A to where B lies by the shifts `chosen` [Ny, Nx, 2].

    To a fraction of a px; confidence is the square of the correlation.
    """
    limit = len(view.by_shift) // 2
    i, j = np.moveaxis(chosen, -1, 0)
    peak = _at(view.by_shift, j, i)
    x = i - limit + _vertex(*(_at(view.by_shift, j, i + step) for step in (-1, 0, 1)))
    y = j - limit + _vertex(*(_at(view.by_shift, j + step, i) for step in (-1, 0, 1)))
    place = found(view.nodes + 2 * np.stack([x, y], -1))
    keep = (peak > LEAST_CORRELATION) & (view.overlap > LEAST_OVERLAP)
    return np.c_[view.nodes[keep], place[keep], peak[keep] ** 2]


def _alone(view: Correlation) -> NDArray[np.int64]:
    """The shift index [Ny, Nx, 2] (x, y) that fits best at each node."""
    flat = view.by_shift.reshape(-1, *view.overlap.shape)
    j, i = np.divmod(flat.argmax(0), len(view.by_shift))
    return np.stack([i, j], -1)


def _jointly(view: Correlation) -> NDArray[np.int64]:
    """The shift index [Ny, Nx, 2] that fits best at all nodes together; off the overlap none."""
    none, whole = FADE
    seen = np.clip((view.overlap - none) / (whole - none), 0, 1)
    cost = np.asarray(-view.by_shift * seen, np.float32)
    return mrf.choose(cost, BEND, MOST)


def correlate(
    found: Deformation, a: RidgeImage, b: RidgeImage, window: float, reach: int
) -> Correlation:
    """Normalised correlation in Gaussian windows of deviation `window`, for shifts up to `reach`.

    Nodes lie SPACING apart, or further where NODES of them would not cover the overlap.
    """
    height, width = a.mask.shape
    margin = reach // 2  # B is seen beyond A's frame too, as far as shifts may bring it in
    y, x = (2.0 * np.arange(-margin, extent + margin) + 0.5 for extent in (height, width))
    place = found.on_grid(x, y)  # px k at 250 ppi covers 2k and 2k + 1
    ridges, on_b = (_sampled(field, (place - 0.5) / 2) for field in (b.ridges, b.mask))
    inside = np.s_[margin : margin + height, margin : margin + width]
    overlap = a.mask * on_b[inside]
    step = max(SPACING, math.ceil(2 * math.sqrt(float(overlap.sum()) / NODES))) // 2
    at_y, at_x = (np.arange(step // 2, extent, step) for extent in (height, width))
    down, across = _windows(at_y, height, window), _windows(at_x, width, window).T
    power_a, power_b = down @ a.ridges**2 @ across, _blurred(ridges**2, window)
    moves = range(2 * margin + 1)
    by_shift = [
        [
            down
            @ (a.ridges * ridges[y : y + height, x : x + width])
            @ across
            / np.sqrt(power_a * power_b[np.ix_(at_y + y, at_x + x)] + 1e-6)
            for x in moves
        ]
        for y in moves
    ]
    nodes = np.stack(np.meshgrid(at_x, at_y), -1).astype(np.float64) * 2 + 0.5
    return Correlation(nodes, down @ overlap @ across, np.array(by_shift), 2 * step)


def _windows(at: NDArray[np.int64], extent: int, deviation: float) -> Field:
    """Gaussian weights [N, extent] around N positions along an axis of px at 250 ppi.

    They sum to 1 over an endless axis, since nothing lies beyond the frame.
    """
    away = (np.arange(extent) - at[:, None]) / (deviation / 2)
    return (np.exp(-(away**2) / 2) / (math.sqrt(2 * math.pi) * deviation / 2)).astype(np.float32)


def _blurred(field: Field, deviation: float) -> Field:
    """Gaussian average over `deviation` px at 500 ppi; nothing lies beyond the frame."""
    return np.asarray(
        cv2.GaussianBlur(field, (0, 0), deviation / 2, borderType=cv2.BORDER_CONSTANT), np.float32
    )


def _sampled(field: Field, points: Array) -> Field:
    """The field at points [h, w, 2], linear; 0 beyond its frame."""
    x, y = np.moveaxis(points.astype(np.float32), -1, 0)
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled, np.float32)


def _at(by_shift: Field, j: NDArray, i: NDArray) -> Field:
    """The values [Ny, Nx] at shift indices j, i [Ny, Nx], the outermost repeated."""
    rows, columns = np.indices(j.shape)
    last = len(by_shift) - 1
    return by_shift[j.clip(0, last), i.clip(0, last), rows, columns]


def _vertex(left: Field, middle: Field, right: Field) -> Field:
    """Where the parabola through three values at -1, 0, 1 is highest, within ± 1/2."""
    curvature = np.maximum(2 * middle - left - right, 1e-6)
    return np.clip((right - left) / (2 * curvature), -0.5, 0.5)
