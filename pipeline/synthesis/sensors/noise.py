"""What several sensors draw at random."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.synthesis.orientation import Image


def about(rng: np.random.Generator, middle: float, spread: float) -> float:
    """A positive number about `middle`, by a factor of which the logarithm deviates by `spread`."""
    return float(middle * np.exp(rng.normal(0, spread)))


def band(rng: np.random.Generator, size: tuple[int, ...], scale: float) -> Image:
    """Normal noise [H, W] of mean 0 and deviation 1 between `scale` and 1.8 times as many px.

    Skin that touches does so in grains of their own size, not in clouds of all sizes.
    """
    fine = blurred(rng, size, scale)
    between = fine - cv2.GaussianBlur(fine, (0, 0), 1.5 * scale)  # 1.8² - 1 = 1.5²
    return np.asarray(between / between.std(), np.float32)


def blurred(rng: np.random.Generator, size: tuple[int, ...], scale: float) -> Image:
    """Normal noise [H, W] of mean 0 and deviation 1, white but for a blur of `scale` px.

    Unlike `smooth_noise` it has no lattice, which would show at this scale.
    """
    noise = cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), scale)
    return np.asarray(noise / noise.std(), np.float32)


def skewed(noise: Image, share: float) -> Image:
    """`noise` [H, W] of which what is high stands out: `share` of its square (less 1) is added."""
    return np.asarray(noise + share * (noise**2 - 1), np.float32)


def blur(grey: Image, deviation: float) -> Image:
    """`grey` [H, W] through a Gaussian point spread of `deviation` px."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), deviation), np.float32)
