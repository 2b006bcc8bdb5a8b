"""How a second impression of a finger gets worse: sensor noise, dryness, over-pressure.

The three corruptions of IFViT (arXiv 2404.08237, the data of the dense registration). Parameters
are drawn first, then applied purely, to an image at 500 ppi. Ridges are dark: a maximum over a
neighbourhood thins them, which is a dry finger, a minimum thickens them, which is one pressed
hard. The sums are exact in float32, so that every machine makes the same bytes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pyfastnoiselite.pyfastnoiselite import FastNoiseLite, FractalType, NoiseType

Image = NDArray[np.uint8]

OCTAVES = 3
ONE, GREY = 4096, 32  # a contrast of 1 and a grey level, in fixed point
COARSE = 4  # px at 500 ppi of a sample of the mottle; its finest octave has a period of 3 samples
PERIOD_RANGE = (40.0, 90.0)  # px at 500 ppi, of the mottle's first octave
GRAIN_PERIOD = 5.0  # px at 500 ppi, of the grain
MOTTLE_RANGE = (0.3, 0.9)  # how much contrast the mottle takes where it is strongest
GRAIN_RANGE = (0.3, 1.0)  # amplitude of the grain, in deviations of the image
STRENGTH_RANGE = (0.4, 0.9)  # how much of the morphology's result is blended in


@dataclass(frozen=True)
class SensorNoise:
    """Simplex gradient noise (Perlin, 2001): mottle in octaves that takes contrast, and grain."""

    seed: int  # int32
    period: float  # px at 500 ppi
    mottle: float  # 0 … 1
    grain: float  # deviations of the image


@dataclass(frozen=True)
class Morphology:
    """Thinner ("dryness") or thicker ("pressure") ridges, blended with the original."""

    kind: str
    strength: float  # a multiple of 1/64
    square: bool  # a 3×3 neighbourhood; else the cross


def sample(kind: str, rng: np.random.Generator) -> SensorNoise | Morphology | None:
    """Parameters of the corruption `kind` of shards.record.NOISES; None for "none"."""
    if kind == "none":
        return None
    if kind == "sensor":
        return SensorNoise(
            seed=int(rng.integers(2**31)),
            period=float(rng.uniform(*PERIOD_RANGE)),
            mottle=float(rng.uniform(*MOTTLE_RANGE)),
            grain=float(rng.uniform(*GRAIN_RANGE)),
        )
    if kind not in ("dryness", "pressure"):
        raise ValueError(f"noise kind {kind!r}: expected none, sensor, dryness or pressure")
    strength = round(64 * rng.uniform(*STRENGTH_RANGE)) / 64
    return Morphology(kind, strength, bool(rng.integers(2)))


def apply(image: Image, params: SensorNoise | Morphology | None) -> Image:
    """The image uint8 [H, W] at 500 ppi after the corruption; the same for the same parameters."""
    if params is None:
        return image
    if isinstance(params, SensorNoise):
        return _sensor(image, params)
    shape = cv2.MORPH_RECT if params.square else cv2.MORPH_CROSS
    operation = cv2.dilate if params.kind == "dryness" else cv2.erode
    changed = operation(image, cv2.getStructuringElement(shape, (3, 3)))
    return np.asarray(
        cv2.addWeighted(image, 1 - params.strength, changed, params.strength, 0), np.uint8
    )


def _sensor(image: Image, params: SensorNoise) -> Image:
    """Contrast about the mean grey scaled by 1 - mottle … 1, then the grain added."""
    height, width = image.shape
    rows, columns = -(-height // COARSE), -(-width // COARSE)
    mottle = _field(params.seed, (rows, columns), COARSE / params.period, OCTAVES)
    grain = _field(params.seed ^ 1, (2 * rows, 2 * columns), COARSE / 2 / GRAIN_PERIOD, 1)
    mean, deviation = (round(float(value.item())) for value in cv2.meanStdDev(image))
    contrast = cv2.pyrUp(cv2.pyrUp(_fixed(1 - params.mottle * (mottle + 1) / 2, ONE)))
    offset = cv2.pyrUp(_fixed(params.grain * deviation * grain, GREY))[:height, :width]
    centred = image.astype(np.int16) - np.int16(mean)
    ridges = cv2.multiply(centred, contrast[:height, :width], scale=1 / ONE)
    made = ridges + ((offset + GREY // 2) // GREY) + np.int16(mean)
    return np.clip(made, 0, 255).astype(np.uint8)


def _fixed(values: NDArray[np.floating], one: int) -> NDArray[np.int16]:
    """Fixed point, in which cv2.pyrUp is exact on every machine."""
    return np.rint(values * one).astype(np.int16)


def _field(
    seed: int, shape: tuple[int, int], frequency: float, octaves: int
) -> NDArray[np.float32]:
    """Gradient noise float32 [rows, columns] in about -1 … 1, `frequency` periods a sample."""
    noise = FastNoiseLite(seed)
    noise.noise_type = NoiseType.NoiseType_OpenSimplex2
    noise.frequency = frequency
    if octaves > 1:
        noise.fractal_type = FractalType.FractalType_FBm
        noise.fractal_octaves = octaves
    return np.asarray(noise.gen_from_coords(_coordinates(shape)), np.float32).reshape(shape)


@functools.lru_cache(maxsize=8)
def _coordinates(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sample positions float32 [2, rows · columns]."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.ascontiguousarray(
        np.stack([x.ravel(), y.ravel()]).astype(np.float32) + np.float32(0.5)
    )
