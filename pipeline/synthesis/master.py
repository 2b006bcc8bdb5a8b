"""Master fingerprints: the ridge pattern of a finger, grown from noise along its flow.

As in SFinGe (Cappelli, Maio, Lumini and Maltoni; Handbook of Fingerprint Recognition, ch. 6) a
filter tuned to the local orientation and period is applied again and again until ridges stand out;
where growing patches meet out of phase minutiae appear by themselves. The filter is a Gabor
filter, applied as two passes of samples, along the ridge and across it, so that angle and period
are continuous and need no bank.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.orientation import SIZE, Flow, Image, sample_flow, smooth_noise

ROUNDS = 20
ALONG = np.arange(-5, 6) * 1.6  # px along the ridge; not whole, lest every other pixel be left out
ALONG_DEVIATION = 5.0  # px
ACROSS = np.arange(-7, 8) / 6.0  # periods across the ridge
ACROSS_DEVIATION = 0.55  # periods
PORE_SPACING = 9  # px, at least

Maps = list[tuple[Image, Image]]


@dataclass(frozen=True)
class Master:
    """A finger's skin over H × W px."""

    flow: Flow
    ridges: Image  # [H, W], about a cosine: -1 on the floor of a valley … 1 on the crest of a ridge
    relief: Image  # [H, W], what is to be added: uneven crests and flanks, pores, creases


def sample_master(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Master:
    """A random finger of `size` (height, width) px."""
    flow = sample_flow(rng, size)
    ridges = grow(flow, rng)
    relief = 0.16 * smooth_noise(rng, size, 3) + 0.14 * smooth_noise(rng, size, 14)
    return Master(flow, ridges, relief - pores(ridges, rng) - creases(size, rng))


def grow(flow: Flow, rng: np.random.Generator) -> Image:
    """Ridges [H, W] in [-1, 1] along `flow`, from white noise."""
    along, across = _sample_maps(flow)
    bell = np.exp(-((ALONG / ALONG_DEVIATION) ** 2) / 2)
    field = rng.standard_normal(flow.angle.shape, np.float32)
    for _ in range(ROUNDS):
        field = _gather(np.tanh(3 * field), along, bell / bell.sum())
        field = _gather(field, across, _gabor())
    return np.clip(field, -1, 1).astype(np.float32)


def pores(ridges: Image, rng: np.random.Generator) -> Image:
    """Depth [H, W] ≥ 0 of the sweat pores, which sit on the crests a few px apart."""
    liking = ridges + rng.random(ridges.shape, np.float32)
    window = np.ones((PORE_SPACING, PORE_SPACING), np.uint8)
    at = (liking == cv2.dilate(liking, window)) & (ridges > 0.5)
    depth = rng.uniform(0.2, 1.0, ridges.shape).astype(np.float32) * at
    return np.asarray(9 * cv2.GaussianBlur(depth, (0, 0), 0.9), np.float32)


def creases(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Depth [H, W] ≥ 0 of white lines across the skin; most fingers have few, some many."""
    canvas = np.zeros(size, np.float32)
    for _ in range(min(rng.poisson(rng.choice([0.5, 2.0, 7.0])), 14)):
        start = rng.uniform(0.1, 0.9, 2) * size[::-1]
        angle = rng.normal(0, 0.5) + rng.choice([0.0, 0.0, 1.2])
        steps = np.linspace(0, rng.uniform(40, 200), 12)
        bend = angle + rng.normal(0, 0.003) * steps + np.cumsum(rng.normal(0, 0.05, 12))
        points = start + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], -1), 0) * steps[1]
        fixed = np.round(points * 16).astype(np.int32)
        width = int(rng.integers(1, 4))
        cv2.polylines(canvas, [fixed], False, float(rng.uniform(0.8, 2.0)), width, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.float32)


def _gabor() -> NDArray[np.float64]:
    """Weights of the samples ACROSS: no answer to a level, 1 to a ridge pattern of the period."""
    bell = np.exp(-((ACROSS / ACROSS_DEVIATION) ** 2) / 2)
    wave = np.cos(2 * np.pi * ACROSS)
    weights = bell * (wave - (bell * wave).sum() / bell.sum())
    return weights / (weights * wave).sum()


def _sample_maps(flow: Flow) -> tuple[Maps, Maps]:
    """Where the filter's samples lie (x, y each [H, W]): along the ridge, and across it."""
    y, x = np.mgrid[: flow.angle.shape[0], : flow.angle.shape[1]].astype(np.float32)
    dx, dy = np.cos(flow.angle), -np.sin(flow.angle)
    along = [(x + t * dx, y + t * dy) for t in ALONG.astype(np.float32)]
    across = [
        (x - k * flow.period * dy, y + k * flow.period * dx) for k in ACROSS.astype(np.float32)
    ]
    return along, across


def _gather(field: Image, maps: Maps, weights: NDArray[np.float64]) -> Image:
    """Weighted sum [H, W] of `field` sampled at `maps`."""
    total = np.zeros_like(field)
    for (x, y), weight in zip(maps, weights, strict=True):
        total += np.float32(weight) * cv2.remap(
            field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    return total
