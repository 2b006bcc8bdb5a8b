"""Degradation of an impression: sensor noise, dryness, over-pressure.

The three degradations of IFViT (arXiv 2404.08237, section on the dense registration data), applied
at 500 ppi. `sample` samples the parameters of one degradation, `apply` applies them as a pure
function.

Ridges are dark. A maximum over a neighbourhood makes them thinner (a dry finger), a minimum makes
them thicker (a finger pressed hard). All sums are exact in float32, so that the bytes are the same
on every machine. Gradient noise is slow to compute: each process computes a few large fields of it
once, and each sample uses a window of one of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pyfastnoiselite.pyfastnoiselite import FastNoiseLite, FractalType, NoiseType

from pipeline.imaging.file import Image
from pipeline.imaging.resample import Part

EVERYTHING: Part = (slice(None), slice(None))


@dataclass(frozen=True)
class DegradationParameters:
    """Strengths of the degradations and layout of the noise fields.

    IFViT names the kinds of degradation without numbers. The strengths are chosen so that the
    ridges stay visible (tests/pipeline/test_degradation.py: correlation above 0.7).
    """

    mottle_range: tuple[float, float] = (0.3, 0.9)  # share of the contrast lost at the strongest px
    mottle_period_range: tuple[float, float] = (40.0, 90.0)  # px at 500 ppi, of the first octave
    mottle_octaves: int = 3  # chosen
    # Doublings of the computed mottle: 4 px per sample, > 2 samples per period of the last octave.
    mottle_doublings: int = 2
    grain_range: tuple[float, float] = (0.3, 1.0)  # amplitude in standard deviations of the image
    grain_period: float = 5.0  # px at 500 ppi; chosen: below the period of ridges, about 9 px
    grain_doublings: int = 1  # of the computed grain: 2 px per sample, > 2 samples per period
    morphology_range: tuple[float, float] = (0.4, 0.9)  # weight of the thinned or thickened image
    fields: int = 8  # noise fields of each kind per process; chosen: 8 differ enough, and are small
    field_step: int = 64  # px; the side of a field is a multiple of it
    # between the seeds of fields, since fields of adjacent seeds correlate a little
    seed_step: int = 7919
    computed_one: int = 1024  # fixed-point value of a contrast of 1 while a field is computed
    stored_one: int = 128  # the same in a stored field: one byte per px, so that caches hold more


DEFAULT = DegradationParameters()


@dataclass(frozen=True)
class Window:
    """The part of a large noise field that one sample uses.

    Attributes:
        field: number of the field, 0 to `DegradationParameters.fields` - 1.
        x, y: position of the window between the two ends of the field, 0 to 1.
    """

    field: int
    x: float
    y: float


@dataclass(frozen=True)
class SensorNoise:
    """Gradient noise (Perlin 2001, simplex noise): mottle that lowers the contrast, and grain.

    Attributes:
        mottle_window, grain_window: windows of the noise fields.
        mottle: share of the contrast that is lost, 0 to 1; a multiple of 1/64.
        grain: amplitude of the grain in standard deviations of the image.
    """

    mottle_window: Window
    grain_window: Window
    mottle: float
    grain: float


@dataclass(frozen=True)
class Morphology:
    """Thinner ("dryness") or thicker ("pressure") ridges, blended with the original.

    Attributes:
        kind: "dryness" or "pressure".
        strength: weight of the changed image, a multiple of 1/64.
        square: use a 3×3 neighbourhood; else a cross of 5 px.
    """

    kind: str
    strength: float
    square: bool


Degradation = SensorNoise | Morphology | None


def sample(
    kind: str, rng: np.random.Generator, parameters: DegradationParameters = DEFAULT
) -> Degradation:
    """Sample one degradation.

    Args:
        kind: one of `shards.record.NOISES`.
        rng: addressed generator of this pair and stage.
        parameters: ranges of the strengths.

    Returns:
        The degradation; None where `kind` is "none".

    Raises:
        ValueError: `kind` is unknown.
    """
    if kind == "none":
        return None
    if kind == "sensor":
        return SensorNoise(
            mottle_window=_sample_window(rng, parameters),
            grain_window=_sample_window(rng, parameters),
            mottle=_round_64th(rng.uniform(*parameters.mottle_range)),
            grain=float(rng.uniform(*parameters.grain_range)),
        )
    if kind not in ("dryness", "pressure"):
        raise ValueError(f"noise kind {kind!r}: expected none, sensor, dryness or pressure")
    strength = _round_64th(rng.uniform(*parameters.morphology_range))
    return Morphology(kind, strength, bool(rng.integers(2)))


def apply(
    image: Image,
    degradation: Degradation,
    part: Part = EVERYTHING,
    parameters: DegradationParameters = DEFAULT,
) -> Image:
    """Return a part of the degraded image; the result does not depend on the choice of the part.

    Args:
        image: uint8 [H, W], dark ridges, 500 ppi; it is not changed.
        degradation: a result of `sample`.
        part: rows and columns to compute, h and w of them.
        parameters: layout of the noise fields.

    Returns:
        The part, uint8 [h, w].
    """
    if degradation is None:
        return image[part]
    if isinstance(degradation, SensorNoise):
        return _add_sensor_noise(image, degradation, part, parameters)
    return _change_ridge_width(image, degradation, part)


def _sample_window(rng: np.random.Generator, parameters: DegradationParameters) -> Window:
    return Window(int(rng.integers(parameters.fields)), *rng.uniform(size=2).tolist())


def _round_64th(value: float) -> float:
    return round(64 * value) / 64


def _change_ridge_width(image: Image, morphology: Morphology, part: Part) -> Image:
    """Blend a maximum ("dryness") or minimum ("pressure") over the neighbourhood into the image."""
    shape = cv2.MORPH_RECT if morphology.square else cv2.MORPH_CROSS
    operation = cv2.dilate if morphology.kind == "dryness" else cv2.erode
    rows, columns = part
    top, bottom, _ = rows.indices(image.shape[0])
    left, right, _ = columns.indices(image.shape[1])
    first_row, first_column = max(top - 1, 0), max(left - 1, 0)  # neighbours of the part's edge
    surroundings = image[first_row : bottom + 1, first_column : right + 1]
    changed = operation(surroundings, cv2.getStructuringElement(shape, (3, 3)))
    y, x = top - first_row, left - first_column  # of the part in its surroundings
    changed = changed[y : y + bottom - top, x : x + right - left]
    weight = morphology.strength
    blended = cv2.addWeighted(image[part], 1 - weight, changed, weight, 0)
    return np.asarray(blended, np.uint8)


def _add_sensor_noise(
    image: Image, noise: SensorNoise, part: Part, parameters: DegradationParameters
) -> Image:
    """Scale the contrast around the mean grey by 1 - mottle to 1, then add the grain."""
    mean, deviation = cv2.meanStdDev(image)
    mean_grey, grey_deviation = round(float(mean.item())), round(float(deviation.item()))
    mottle = _cut_window(_mottle_field, noise.mottle_window, image.shape, parameters)[part]
    grain = _cut_window(_grain_field, noise.grain_window, image.shape, parameters)[part]
    result = image[part].astype(np.int16)  # separate casts: numpy is slow with mixed types
    lost_contrast = result - np.int16(mean_grey)
    lost_contrast *= mottle.astype(np.int16)
    # Both products and their sum have fewer than 24 bits: exact in float32, rounded once.
    amplitude = round(16 * noise.grain * grey_deviation) / 16
    grain_weight = amplitude / parameters.stored_one
    mottle_weight = -noise.mottle / parameters.stored_one
    grain = grain.astype(np.int16)
    change = cv2.addWeighted(grain, grain_weight, lost_contrast, mottle_weight, 0)
    result += np.asarray(change, np.int16)
    return np.clip(result, 0, 255, out=result).astype(np.uint8)


def _cut_window(
    compute_field: Callable[[int, int, DegradationParameters], NDArray[np.int8]],
    window: Window,
    shape: tuple[int, ...],
    parameters: DegradationParameters,
) -> NDArray[np.int8]:
    """Return the window int8 [H, W] of a field whose side is at least twice the image's."""
    height, width = shape
    step = parameters.field_step
    side = -(-2 * max(shape) // step) * step
    y, x = int(window.y * (side - height)), int(window.x * (side - width))
    return compute_field(window.field, side, parameters)[y : y + height, x : x + width]


@functools.lru_cache(maxsize=DEFAULT.fields)
def _mottle_field(number: int, side: int, parameters: DegradationParameters) -> NDArray[np.int8]:
    """Compute a mottle field int8 [side, side], values of about 0 to `stored_one`.

    The first periods of the fields lie evenly in `mottle_period_range`.
    """
    low, high = parameters.mottle_period_range
    period = low + (high - low) * (number + 0.5) / parameters.fields
    sampling = 2**parameters.mottle_doublings
    noise = _gradient_noise(
        parameters.seed_step * number,
        side // sampling,
        sampling / period,
        parameters.mottle_octaves,
    )
    coarse = _to_fixed_point((noise + 1) / 2, parameters)
    return _to_bytes(_double(coarse, parameters.mottle_doublings), parameters)


@functools.lru_cache(maxsize=DEFAULT.fields)
def _grain_field(number: int, side: int, parameters: DegradationParameters) -> NDArray[np.int8]:
    """Compute a grain field int8 [side, side], values of about -`stored_one` to `stored_one`."""
    sampling = 2**parameters.grain_doublings
    seed = parameters.seed_step * (parameters.fields + number)
    coarse = _gradient_noise(seed, side // sampling, sampling / parameters.grain_period, 1)
    fixed = _to_fixed_point(coarse, parameters)
    return _to_bytes(_double(fixed, parameters.grain_doublings), parameters)


def _to_fixed_point(
    values: NDArray[np.floating], parameters: DegradationParameters
) -> NDArray[np.int16]:
    """Convert to fixed point, in which cv2.pyrUp is exact on every machine."""
    return np.rint(values * parameters.computed_one).astype(np.int16)


def _double(field: cv2.typing.MatLike, times: int) -> cv2.typing.MatLike:
    """Return a field with twice as many px per side, several times."""
    for _ in range(times):
        field = cv2.pyrUp(field)
    return field


def _to_bytes(
    fixed: NDArray[np.integer] | cv2.typing.MatLike, parameters: DegradationParameters
) -> NDArray[np.int8]:
    """Convert fixed point to one byte per px."""
    largest = parameters.stored_one - 1
    ratio = parameters.computed_one // parameters.stored_one
    return np.clip(fixed // ratio, -largest, largest).astype(np.int8)


def _gradient_noise(seed: int, side: int, frequency: float, octaves: int) -> NDArray[np.float32]:
    """Return gradient noise float32 [side, side] in about -1 to 1; `frequency` is per sample."""
    noise = FastNoiseLite(seed)
    noise.noise_type = NoiseType.NoiseType_OpenSimplex2
    noise.frequency = frequency
    if octaves > 1:
        noise.fractal_type = FractalType.FractalType_FBm
        noise.fractal_octaves = octaves
    y, x = np.indices((side, side), np.float32).reshape(2, -1) + np.float32(0.5)
    values = noise.gen_from_coords(np.ascontiguousarray(np.stack([x, y])))
    return np.asarray(values, np.float32).reshape(side, side)
