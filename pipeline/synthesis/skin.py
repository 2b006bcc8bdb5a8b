"""Details of the skin beside the ridge pattern: pores, incipient ridges, creases and scars."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthesis.noise import FloatImage, SmoothNoise, blur, sample_sum, smooth_noise


@dataclass(frozen=True)
class PoreParameters:
    """Numbers of the sweat pores; spacing chosen, depth fitted (see `SkinParameters`)."""

    spacing: int = 7  # px, least distance along x and y
    crest_min: float = 0.5  # ridge height above which pores lie
    depth: float = 11  # half ridge heights, before the blur
    blur: float = 0.9  # px


@dataclass(frozen=True)
class IncipientParameters:
    """Numbers of incipient ridges: thin, broken ridges in the valleys; chosen by eye."""

    share: float = 0.35  # of the fingers
    patch_scale: float = 60  # px, size of the regions with incipient ridges
    patch_level_range: tuple[float, float] = (-0.3, 0.8)  # the higher, the fewer regions
    piece_noise: SmoothNoise = SmoothNoise(1.0, 5)  # share of the height, px: interruptions
    piece_level: float = 0.6  # mean share of the height
    piece_max: float = 1.2  # share of the height
    valley_width: float = 0.35  # ridge height over the valley's floor
    height_range: tuple[float, float] = (0.5, 1.3)  # half ridge heights


@dataclass(frozen=True)
class CreaseParameters:
    """Numbers of creases: white lines across the skin; chosen by eye."""

    means: tuple[float, ...] = (1.0, 4.0, 15.0)  # mean numbers per finger, each as likely
    count_max: int = 25
    angle_deviation: float = 0.5  # rad, about the directions below
    angles: tuple[float, ...] = (0.0, 0.0, 1.2)  # rad, each as likely
    length_min: float = 20  # px
    length_mean: float = 60  # px, mean of an exponential distribution added to the minimum
    length_max: float = 220  # px
    depth_range: tuple[float, float] = (0.8, 2.0)  # half ridge heights
    widths: tuple[int, ...] = (1, 1, 2, 3)  # px, each as likely
    blur: float = 0.8  # px


@dataclass(frozen=True)
class ScarParameters:
    """Numbers of scars: wide, ragged lines; chosen by eye."""

    share: float = 0.1  # of the fingers
    length_range: tuple[float, float] = (40, 200)  # px
    depth_range: tuple[float, float] = (1.5, 3.0)  # half ridge heights
    width_range: tuple[int, int] = (4, 8)  # px, both included
    ragged_level: float = 0.8  # mean share of the depth
    ragged_noise: SmoothNoise = SmoothNoise(0.5, 4)  # share of the depth, px
    blur: float = 1.2  # px


@dataclass(frozen=True)
class StrokeParameters:
    """Shape of the lines of creases and scars; chosen by eye."""

    start_range: tuple[float, float] = (0.1, 0.9)  # shares of the master's width and height
    points: int = 12  # vertices of the line
    curvature_deviation: float = 0.003  # rad per px, constant bend
    bend_deviation: float = 0.05  # rad per vertex, random bends


PORES, INCIPIENT = PoreParameters(), IncipientParameters()
CREASES, SCARS, STROKE = CreaseParameters(), ScarParameters(), StrokeParameters()


@dataclass(frozen=True)
class SkinParameters:
    """Numbers of the skin's relief.

    Uneven crests and pore depth were fitted to FVC2002 DB1_B and DB3_B: docs/LOG.md, 2026-11-23,
    "Skin and sensors fitted together (VERSION 6)".
    """

    fine: SmoothNoise = SmoothNoise(0.22, 3.2)  # half ridge heights, px: uneven crests
    coarse: SmoothNoise = SmoothNoise(0.08, 13)  # half ridge heights, px
    pores: PoreParameters = PORES
    incipient: IncipientParameters = INCIPIENT
    creases: CreaseParameters = CREASES
    scars: ScarParameters = SCARS


DEFAULT = SkinParameters()


def sample_relief(
    ridges: FloatImage, rng: np.random.Generator, parameters: SkinParameters = DEFAULT
) -> FloatImage:
    """Sample the relief that is added to `ridges`, float32 [H, W], half ridge heights."""
    size = (ridges.shape[0], ridges.shape[1])
    relief = sample_sum((parameters.fine, parameters.coarse), size, rng)
    details = incipient_height(ridges, rng, parameters.incipient)
    details = details - pore_depth(ridges, rng, parameters.pores)
    details = details - crease_depth(size, rng, parameters.creases)
    return relief + (details - scar_depth(size, rng, parameters.scars))


def pore_depth(
    ridges: FloatImage, rng: np.random.Generator, parameters: PoreParameters = PORES
) -> FloatImage:
    """Sample the depth ≥ 0 of the sweat pores on the crests of `ridges`, float32 [H, W]."""
    score = ridges + rng.random(ridges.shape, np.float32)
    window = np.ones((parameters.spacing, parameters.spacing), np.uint8)
    is_pore = (score == cv2.dilate(score, window)) & (ridges > parameters.crest_min)
    depth = rng.uniform(0.0, 1.0, ridges.shape).astype(np.float32) ** 2 * is_pore
    return np.asarray(parameters.depth * blur(depth, parameters.blur), np.float32)


def incipient_height(
    ridges: FloatImage, rng: np.random.Generator, parameters: IncipientParameters = INCIPIENT
) -> FloatImage:
    """Sample the height ≥ 0 of incipient ridges along the middle of valleys, float32 [H, W]."""
    if rng.random() > parameters.share:
        return np.zeros_like(ridges)
    patches = smooth_noise(rng, ridges.shape, parameters.patch_scale)
    patches = np.clip(patches - rng.uniform(*parameters.patch_level_range), 0, 1)
    pieces = parameters.piece_level + parameters.piece_noise.sample(ridges.shape, rng)
    pieces = np.clip(pieces, 0, parameters.piece_max)
    over_floor = 1 + np.maximum(ridges, -1)
    middle = np.exp(-((over_floor / parameters.valley_width) ** 2))
    height = rng.uniform(*parameters.height_range)
    return np.asarray(height * patches * pieces * middle, np.float32)


def crease_depth(
    size: tuple[int, int], rng: np.random.Generator, parameters: CreaseParameters = CREASES
) -> FloatImage:
    """Sample the depth ≥ 0 of creases, float32 [H, W]; most fingers have few, some many."""
    depth = np.zeros(size, np.float32)
    count = min(rng.poisson(rng.choice(parameters.means)), parameters.count_max)
    for _ in range(count):
        angle = rng.normal(0, parameters.angle_deviation) + rng.choice(parameters.angles)
        length = parameters.length_min + rng.exponential(parameters.length_mean)
        line_depth = rng.uniform(*parameters.depth_range)
        width = int(rng.choice(parameters.widths))
        line = _sample_line(size, angle, min(length, parameters.length_max), rng)
        _add_line(depth, line, line_depth, width)
    return blur(depth, parameters.blur)


def scar_depth(
    size: tuple[int, int], rng: np.random.Generator, parameters: ScarParameters = SCARS
) -> FloatImage:
    """Sample the depth ≥ 0 of a scar, float32 [H, W]; few fingers have one."""
    depth = np.zeros(size, np.float32)
    if rng.random() < parameters.share:
        angle, length = rng.uniform(0, np.pi), rng.uniform(*parameters.length_range)
        line_depth = rng.uniform(*parameters.depth_range)
        width = int(rng.integers(*parameters.width_range, endpoint=True))
        _add_line(depth, _sample_line(size, angle, length, rng), line_depth, width)
        ragged = parameters.ragged_level + parameters.ragged_noise.sample(size, rng)
        depth *= np.clip(ragged, 0, 1)
    return blur(depth, parameters.blur)


def _sample_line(
    size: tuple[int, int],
    angle: float,
    length: float,
    rng: np.random.Generator,
    parameters: StrokeParameters = STROKE,
) -> FloatImage:
    """Sample a bent line of `length` px that starts at a random place in direction `angle` rad.

    Returns:
        Vertices (x, y) px, [P, 2].
    """
    start = rng.uniform(*parameters.start_range, 2) * size[::-1]
    steps = np.linspace(0, length, parameters.points)
    bend = angle + rng.normal(0, parameters.curvature_deviation) * steps
    bend = bend + np.cumsum(rng.normal(0, parameters.bend_deviation, parameters.points))
    directions = np.stack([np.cos(bend), np.sin(bend)], -1)
    return np.asarray(start + np.cumsum(directions, 0) * steps[1])


def _add_line(canvas: FloatImage, points: FloatImage, depth: float, width: int) -> None:
    """Set the pixels of the line through `points` in `canvas` [H, W] to `depth`."""
    sixteenths = np.round(points * 16).astype(np.int32)
    cv2.polylines(canvas, [sixteenths], False, depth, width, cv2.LINE_AA, 4)
