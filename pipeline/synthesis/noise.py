"""Random fields: smooth, blurred and band-limited normal noise, and helpers for random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class NoiseParameters:
    """Numbers of the noise generators."""

    # Variance of unit white noise after OpenCV's bicubic interpolation at random positions
    # (measured; it only scales the result to a deviation near 1).
    bicubic_variance: float = 0.7
    # Extra control points per axis of the coarse lattice, for the support of the bicubic kernel.
    lattice_margin: int = 4
    # Offset of the image's first pixel on the lattice, in lattice cells (chosen: so that the
    # lattice's position differs between fields and the kernel stays inside).
    lattice_offset_range: tuple[float, float] = (0.5, 1.5)
    # Ratio of the two blurs of `band_noise`: variances 1 and 1 + 1.5² = 1.8² (chosen: one octave).
    band_ratio: float = 1.5


DEFAULT = NoiseParameters()


@dataclass(frozen=True)
class SmoothNoise:
    """Amplitude and scale of one field of smooth noise."""

    deviation: float  # standard deviation, in the unit of the field
    scale: float  # px, distance over which the field varies

    def sample(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatImage:
        """Sample the field, float32 [H, W], for `size` (height, width) px."""
        return self.deviation * smooth_noise(rng, size, self.scale)


def smooth_noise(
    rng: np.random.Generator,
    size: tuple[int, ...],
    scale: float,
    parameters: NoiseParameters = DEFAULT,
) -> FloatImage:
    """Sample normal noise float32 [H, W] of mean 0 and deviation near 1, smooth over `scale` px.

    White noise on a lattice of `scale` px (at least 1 px) at a random position, interpolated by
    bicubic interpolation. Fast at any scale; at scales near 1 px the lattice shows, see
    `blurred_noise`.
    """
    cell = max(scale, 1.0)
    rows, columns = [int(extent / cell) + parameters.lattice_margin for extent in size]
    coarse = rng.standard_normal((rows, columns), np.float32)
    x0, y0 = rng.uniform(*parameters.lattice_offset_range, 2)
    matrix = np.array([[1 / cell, 0, x0], [0, 1 / cell, y0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    noise = cv2.warpAffine(coarse, matrix, (size[1], size[0]), flags=flags)
    return np.asarray(noise / np.float32(np.sqrt(parameters.bicubic_variance)), np.float32)


def sample_sum(
    noises: Sequence[SmoothNoise], size: tuple[int, ...], rng: np.random.Generator
) -> FloatImage:
    """Sample the sum of several fields of smooth noise, float32 [H, W]."""
    total: FloatImage = np.zeros(size, np.float32)
    for noise in noises:
        total = total + noise.sample(size, rng)
    return total


def blurred_noise(rng: np.random.Generator, size: tuple[int, ...], deviation: float) -> FloatImage:
    """Sample white normal noise after a Gaussian blur, scaled to mean 0 and deviation 1.

    Unlike `smooth_noise` it has no lattice, which would be visible at scales near 1 px.

    Args:
        rng: generator.
        size: (height, width) px.
        deviation: standard deviation of the blur, px.

    Returns:
        Noise, float32 [H, W].
    """
    noise = blur(rng.standard_normal(size, np.float32), deviation)
    return np.asarray(noise / noise.std(), np.float32)


def band_noise(
    rng: np.random.Generator,
    size: tuple[int, ...],
    deviation: float,
    parameters: NoiseParameters = DEFAULT,
) -> FloatImage:
    """Sample band-limited normal noise (a difference of two Gaussian blurs), deviation 1.

    Args:
        rng: generator.
        size: (height, width) px.
        deviation: standard deviation of the narrower blur, px; the wider one is 1.8 times as wide.
        parameters: numbers of the noise generators.

    Returns:
        Noise, float32 [H, W].
    """
    fine = blurred_noise(rng, size, deviation)
    band = fine - blur(fine, parameters.band_ratio * deviation)
    return np.asarray(band / band.std(), np.float32)


def add_skew(noise: FloatImage, share: float) -> FloatImage:
    """Add `share` of the square of `noise` (less its mean, 1), so that high values stand out."""
    return np.asarray(noise + share * (noise**2 - 1), np.float32)


def blur(image: FloatImage, deviation: float) -> FloatImage:
    """Blur `image` [H, W] with a Gaussian of `deviation` px."""
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), deviation), np.float32)


def sample_lognormal(rng: np.random.Generator, median: float, spread: float) -> float:
    """Sample a positive number; `spread` is the standard deviation of its natural logarithm."""
    return float(median * np.exp(rng.normal(0, spread)))
