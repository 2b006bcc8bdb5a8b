"""How a second impression of a finger gets worse: sensor noise, dryness, over-pressure.

The three corruptions of IFViT (arXiv 2404.08237, the data of the dense registration). Parameters
are drawn first, then applied purely, to an image at 500 ppi. Ridges are dark: a maximum over a
neighbourhood thins them, which is a dry finger, a minimum thickens them, which is one pressed
hard. The sums are exact in float32, so that every machine makes the same bytes. Gradient noise is
dear, so large fields of it are made once a process, and each draw sees a window of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pyfastnoiselite.pyfastnoiselite import FastNoiseLite, FractalType, NoiseType

from pipeline.imaging.resample import Image, Part

OCTAVES = 3
ONE = 1024  # a contrast of 1 in fixed point, while a field is made
FIELD_ONE = 128  # and in the field: a byte a px, of which more stay in the processor's cache
FIELDS = 8  # different ones of each sort, of which a draw sees a window
SEED_STEP = 7919  # seeds beside each other give fields that agree a little
FIELD_STEP = 64  # px; a field's side is a multiple of it
MOTTLE_SAMPLE, GRAIN_SAMPLE = 4, 2  # px at 500 ppi; the finest octave has over two samples a period
PERIOD_RANGE = (40.0, 90.0)  # px at 500 ppi, of the mottle's first octave
GRAIN_PERIOD = 5.0  # px at 500 ppi, of the grain
MOTTLE_RANGE = (0.3, 0.9)  # how much contrast the mottle takes where it is strongest
GRAIN_RANGE = (0.3, 1.0)  # amplitude of the grain, in deviations of the image
STRENGTH_RANGE = (0.4, 0.9)  # how much of the morphology's result is blended in


@dataclass(frozen=True)
class Window:
    """Where a draw looks at a large field of noise: which field, and where in it."""

    field: int  # 0 … FIELDS - 1
    x: float  # 0 … 1, of the way from one end to the other
    y: float


@dataclass(frozen=True)
class SensorNoise:
    """Simplex gradient noise (Perlin, 2001): mottle in octaves that takes contrast, and grain."""

    mottle_at: Window
    grain_at: Window
    mottle: float  # 0 … 1, a multiple of 1/64
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
            mottle_at=_window(rng),
            grain_at=_window(rng),
            mottle=_64ths(rng.uniform(*MOTTLE_RANGE)),
            grain=float(rng.uniform(*GRAIN_RANGE)),
        )
    if kind not in ("dryness", "pressure"):
        raise ValueError(f"noise kind {kind!r}: expected none, sensor, dryness or pressure")
    return Morphology(kind, _64ths(rng.uniform(*STRENGTH_RANGE)), bool(rng.integers(2)))


def apply(
    image: Image, params: SensorNoise | Morphology | None, part: Part = (slice(None), slice(None))
) -> Image:
    """The part uint8 [h, w] of an image uint8 [H, W] at 500 ppi after the image's corruption.

    The same for the same parameters, whatever part of it is asked for.
    """
    if params is None:
        return image[part]
    if isinstance(params, SensorNoise):
        return _sensor(image, params, part)
    return _morphology(image, params, part)


def _window(rng: np.random.Generator) -> Window:
    return Window(int(rng.integers(FIELDS)), *rng.uniform(size=2).tolist())


def _64ths(value: float) -> float:
    return round(64 * value) / 64


def _morphology(image: Image, params: Morphology, part: Part) -> Image:
    """A maximum or a minimum over the neighbourhood, blended in."""
    shape = cv2.MORPH_RECT if params.square else cv2.MORPH_CROSS
    operation = cv2.dilate if params.kind == "dryness" else cv2.erode
    (top, bottom), (left, right) = (
        at.indices(extent)[:2] for at, extent in zip(part, image.shape, strict=True)
    )
    y, x = max(top - 1, 0), max(left - 1, 0)  # the part's edge has neighbours beyond it
    near = image[y : bottom + 1, x : right + 1]
    made = operation(near, cv2.getStructuringElement(shape, (3, 3)))
    changed = made[top - y : bottom - y, left - x : right - x]
    blended = cv2.addWeighted(image[part], 1 - params.strength, changed, params.strength, 0)
    return np.asarray(blended, np.uint8)


def _sensor(image: Image, params: SensorNoise, part: Part) -> Image:
    """Contrast about the mean grey scaled by 1 - mottle … 1, then the grain added."""
    mean, deviation = (round(float(value.item())) for value in cv2.meanStdDev(image))
    mottle = _look(_mottle, params.mottle_at, image.shape)[part]
    grain = _look(_grain, params.grain_at, image.shape)[part]
    shown = image[part].astype(np.int16)  # casts apart: numpy is slow where types are mixed
    lost = shown - np.int16(mean)
    lost *= mottle.astype(np.int16)
    # both products and their sum have less than 24 bits: float32 holds them, one rounding is left
    amplitude = round(16 * params.grain * deviation) / 16
    weights = amplitude / FIELD_ONE, -params.mottle / FIELD_ONE
    change = cv2.addWeighted(grain.astype(np.int16), weights[0], lost, weights[1], 0)
    shown += np.asarray(change, np.int16)
    return np.clip(shown, 0, 255, out=shown).astype(np.uint8)


def _look(
    field: Callable[[int, int], NDArray[np.int8]], at: Window, shape: tuple[int, ...]
) -> NDArray[np.int8]:
    """The window of a field at least twice as large."""
    side = -(-2 * max(shape) // FIELD_STEP) * FIELD_STEP
    y, x = (int(part * (side - extent)) for part, extent in zip((at.y, at.x), shape, strict=True))
    return field(at.field, side)[y : y + shape[0], x : x + shape[1]]


@functools.lru_cache(maxsize=FIELDS)
def _mottle(number: int, side: int) -> NDArray[np.int8]:
    """Octaves in about 0 … FIELD_ONE; the fields' first periods lie evenly over PERIOD_RANGE."""
    low, high = PERIOD_RANGE
    period = low + (high - low) * (number + 0.5) / FIELDS
    coarse = _noise(number, side // MOTTLE_SAMPLE, MOTTLE_SAMPLE / period, OCTAVES)
    return _field(cv2.pyrUp(cv2.pyrUp(_fixed((coarse + 1) / 2))))


@functools.lru_cache(maxsize=FIELDS)
def _grain(number: int, side: int) -> NDArray[np.int8]:
    """One octave in about -FIELD_ONE … FIELD_ONE."""
    coarse = _noise(FIELDS + number, side // GRAIN_SAMPLE, GRAIN_SAMPLE / GRAIN_PERIOD, 1)
    return _field(cv2.pyrUp(_fixed(coarse)))


def _fixed(values: NDArray[np.floating]) -> NDArray[np.int16]:
    """Fixed point, in which cv2.pyrUp is exact on every machine."""
    return np.rint(values * ONE).astype(np.int16)


def _field(fixed: NDArray[np.integer] | cv2.typing.MatLike) -> NDArray[np.int8]:
    """The same in bytes."""
    most = FIELD_ONE - 1
    return np.clip(fixed // (ONE // FIELD_ONE), -most, most).astype(np.int8)


def _noise(seed: int, side: int, frequency: float, octaves: int) -> NDArray[np.float32]:
    """Gradient noise float32 [side, side] in about -1 … 1, `frequency` periods a sample."""
    noise = FastNoiseLite(SEED_STEP * seed)
    noise.noise_type = NoiseType.NoiseType_OpenSimplex2
    noise.frequency = frequency
    if octaves > 1:
        noise.fractal_type = FractalType.FractalType_FBm
        noise.fractal_octaves = octaves
    y, x = np.indices((side, side), np.float32).reshape(2, -1) + np.float32(0.5)
    made = noise.gen_from_coords(np.ascontiguousarray(np.stack([x, y])))
    return np.asarray(made, np.float32).reshape(side, side)
