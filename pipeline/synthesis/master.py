"""Master fingerprints: the ridge pattern of a finger, grown from noise along its flow.

As in SFinGe (Cappelli, Maio, Lumini and Maltoni; Handbook of Fingerprint Recognition, ch. 6) a
filter tuned to the local orientation and period is applied again and again until ridges stand out;
where growing patches meet out of phase minutiae appear by themselves. The filter is a Gabor
filter, applied as two passes of samples, along the ridge and across it, so that angle and period
are continuous and need no bank. Ridge and valley are not quite alike while they grow, so that more
ridges end than fork, and a few pairs of minutiae are put in late, as growth alone sets them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.orientation import SIZE, Flow, Image, plane, sample_flow, smooth_noise

ROUNDS = 20
BIAS = 0.1  # of a ridge's height, for the valleys: 0 would let as many ridges end as fork
PAIRS = 20  # of minutiae near one another, put in on average …
PAIRS_ROUND = 18  # … so late that they are joined to their neighbours, but not healed
PAIR_LENGTH = (12, 30)  # px
PAIR_REACH = 40  # px, beyond which a pair turns the wave by little
STEPS = 5  # along the ridge, either way
STEP = 1.7  # px; not near a whole number, lest every other pixel be left out
ALONG_DEVIATION = 8.0  # px, about as far as the steps reach: the longer, the fewer minutiae
ACROSS = np.arange(-7, 8) / 6.0  # periods across the ridge
ACROSS_DEVIATION = 0.55  # periods
PORE_SPACING = 7  # px, at least
INCIPIENT_SHARE = 0.35  # of the fingers, which have thin ridges in some valleys
SCAR_SHARE = 0.1  # of the fingers

Maps = list[tuple[Image, Image]]


@dataclass(frozen=True)
class Master:
    """A finger's skin over H × W px."""

    flow: Flow
    ridges: Image  # [H, W], about a cosine: -1 on the floor of a valley … 1 on the crest of a ridge
    relief: (
        Image  # [H, W], what is to be added: uneven crests, incipient ridges, pores, creases, scars
    )


def sample_master(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Master:
    """A random finger of `size` (height, width) px."""
    flow = sample_flow(rng, size)
    ridges = grow(flow, rng)
    relief = 0.22 * smooth_noise(rng, size, 3.2) + 0.08 * smooth_noise(rng, size, 13)
    relief += incipient(ridges, rng) - pores(ridges, rng) - creases(size, rng) - scars(size, rng)
    return Master(flow, ridges, relief)


def grow(flow: Flow, rng: np.random.Generator) -> Image:
    """Ridges [H, W] in [-1, 1] along `flow`, from white noise."""
    along, across = _sample_maps(flow)
    bell = np.exp(-((np.arange(-STEPS, STEPS + 1) * STEP / ALONG_DEVIATION) ** 2) / 2)
    field = rng.standard_normal(flow.angle.shape, np.float32)
    for done in range(ROUNDS):
        if done == PAIRS_ROUND:
            field = with_pairs(field, _gather(field, across, _gabor_odd()), flow.angle, rng)
        field = _gather(np.tanh(3 * (field - BIAS)), along, bell / bell.sum())
        field = _gather(field, across, _gabor())
    return _even(field)


def with_pairs(even: Image, odd: Image, angle: Image, rng: np.random.Generator) -> Image:
    """`even` [H, W] with short ridges, lakes and offshoots: pairs of minutiae on one ridge.

    A minutia is a point about which the phase of the wave, `even` + i `odd`, turns once (Larkin
    and Fletcher 2007, "A coherent framework for fingerprint analysis"); here two, in opposite
    senses, so that nothing changes far away. `angle` rad [H, W] is the ridges'.
    """
    wave, z = even + 1j * odd, plane(even.shape)
    for _ in range(rng.poisson(PAIRS)):
        at = tuple(int(rng.integers(extent)) for extent in even.shape)
        near = tuple(slice(max(k - PAIR_REACH, 0), k + PAIR_REACH + 1) for k in at)
        away = z[near] - z[at]
        half = rng.uniform(*PAIR_LENGTH) / 2 * np.exp(1j * angle[at])
        turn = np.angle(away - half) - np.angle(away + half)
        wave[near] *= np.exp(1j * rng.choice([-1, 1]) * turn)
    return np.asarray(wave.real, np.float32)


def _even(field: Image) -> Image:
    """`field` [H, W] with crests of about 1 even at the minutiae, where it is weak."""
    power = cv2.GaussianBlur(field * field, (0, 0), 4)
    return np.asarray(field / np.sqrt(2 * power + np.float32(0.02)), np.float32)


def pores(ridges: Image, rng: np.random.Generator) -> Image:
    """Depth [H, W] ≥ 0 of the sweat pores, which sit on the crests a few px apart."""
    liking = ridges + rng.random(ridges.shape, np.float32)
    window = np.ones((PORE_SPACING, PORE_SPACING), np.uint8)
    at = (liking == cv2.dilate(liking, window)) & (ridges > 0.5)
    depth = rng.uniform(0.0, 1.0, ridges.shape).astype(np.float32) ** 2 * at
    return np.asarray(11 * cv2.GaussianBlur(depth, (0, 0), 0.9), np.float32)


def incipient(ridges: Image, rng: np.random.Generator) -> Image:
    """Height [H, W] ≥ 0 of thin, broken ridges along the middle of valleys, in patches."""
    if rng.random() > INCIPIENT_SHARE:
        return np.zeros_like(ridges)
    patches = np.clip(smooth_noise(rng, ridges.shape, 60) - rng.uniform(-0.3, 0.8), 0, 1)
    pieces = np.clip(0.6 + smooth_noise(rng, ridges.shape, 5), 0, 1.2)
    middle = np.exp(-(((1 + np.maximum(ridges, -1)) / 0.35) ** 2))
    return np.asarray(rng.uniform(0.5, 1.3) * patches * pieces * middle, np.float32)


def creases(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Depth [H, W] ≥ 0 of white lines across the skin; most fingers have few, some many."""
    canvas = np.zeros(size, np.float32)
    for _ in range(min(rng.poisson(rng.choice([1.0, 4.0, 15.0])), 25)):
        angle = rng.normal(0, 0.5) + rng.choice([0.0, 0.0, 1.2])
        length = min(20 + rng.exponential(60), 220)
        _stroke(canvas, angle, length, rng.uniform(0.8, 2.0), int(rng.choice([1, 1, 2, 3])), rng)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.float32)


def scars(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Depth [H, W] ≥ 0 of a wide, ragged line, which few fingers have."""
    canvas = np.zeros(size, np.float32)
    if rng.random() < SCAR_SHARE:
        angle, length = rng.uniform(0, np.pi), rng.uniform(40, 200)
        _stroke(canvas, angle, length, rng.uniform(1.5, 3.0), int(rng.integers(4, 9)), rng)
        canvas *= np.clip(0.8 + 0.5 * smooth_noise(rng, size, 4), 0, 1)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 1.2), np.float32)


def _stroke(
    canvas: Image, angle: float, length: float, depth: float, width: int, rng: np.random.Generator
) -> None:
    """Draw a line of `length` px that sets out at `angle` rad from a random place and bends."""
    start = rng.uniform(0.1, 0.9, 2) * canvas.shape[::-1]
    steps = np.linspace(0, length, 12)
    bend = angle + rng.normal(0, 0.003) * steps + np.cumsum(rng.normal(0, 0.05, 12))
    points = start + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], -1), 0) * steps[1]
    fixed = np.round(points * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, depth, width, cv2.LINE_AA, 4)


def _gabor() -> NDArray[np.float64]:
    """Weights of the samples ACROSS: no answer to a level, 1 to a ridge pattern of the period."""
    bell = np.exp(-((ACROSS / ACROSS_DEVIATION) ** 2) / 2)
    wave = np.cos(2 * np.pi * ACROSS)
    weights = bell * (wave - (bell * wave).sum() / bell.sum())
    return weights / (weights * wave).sum()


def _gabor_odd() -> NDArray[np.float64]:
    """Weights of the samples ACROSS that answer by 1 to the wave a quarter period on."""
    wave = np.sin(2 * np.pi * ACROSS)
    weights = np.exp(-((ACROSS / ACROSS_DEVIATION) ** 2) / 2) * wave
    return np.asarray(weights / (weights * wave).sum())


def _sample_maps(flow: Flow) -> tuple[Maps, Maps]:
    """Where the filter's samples lie (x, y each [H, W]): along the ridge, and across it."""
    y, x = np.mgrid[: flow.angle.shape[0], : flow.angle.shape[1]].astype(np.float32)
    dx, dy = np.cos(flow.angle), -np.sin(flow.angle)
    along = [*_follow(x, y, -dx, -dy)[::-1], (x, y), *_follow(x, y, dx, dy)]
    across = [
        (x - k * flow.period * dy, y + k * flow.period * dx) for k in ACROSS.astype(np.float32)
    ]
    return along, across


def _follow(x: Image, y: Image, dx: Image, dy: Image) -> Maps:
    """Where STEPS steps along the ridges lead, set out from each pixel in direction (dx, dy)."""
    field, path = (dx, dy), []
    for _ in range(STEPS):
        x, y = x + np.float32(STEP) * dx, y + np.float32(STEP) * dy
        path.append((x, y))
        nx, ny = (
            cv2.remap(part, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            for part in field
        )
        back = nx * dx + ny * dy < 0  # a ridge has no sense of direction
        dx, dy = np.where(back, -nx, nx), np.where(back, -ny, ny)
    return path


def _gather(field: Image, maps: Maps, weights: NDArray[np.float64]) -> Image:
    """Weighted sum [H, W] of `field` sampled at `maps`."""
    total = np.zeros_like(field)
    for (x, y), weight in zip(maps, weights, strict=True):
        total += np.float32(weight) * cv2.remap(
            field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    return total
