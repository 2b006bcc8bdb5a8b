"""One touch of a finger: how the skin is laid on, stretched and pressed, and where it touches.

Sampled once into a `Touch` (all that makes this impression differ from another), then applied.
The skin is resampled through `Touch.warp` and nothing moves afterwards, so that warp is the exact
map from a pixel of the impression to the master.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthesis.master import Master
from pipeline.synthesis.orientation import SIZE, Image, smooth_noise
from pipeline.warp import Array, Warp, pixel_grid

SPACING = 56.0  # px between the control points of the skin's distortion
STRAIN = 0.5  # bound on it


@dataclass(frozen=True)
class Placement:
    """How fingers are laid on a sensor, on average."""

    size: tuple[int, int]  # (height, width) px of the image
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    finger: float  # px by which the finger's middle lies below the image's
    contact: float  # px by which the middle of the contact region does
    pressure: float


@dataclass(frozen=True)
class Touch:
    """The parameters of one impression of H × W px."""

    size: tuple[int, int]  # (height, width) px
    warp: Warp  # impression px → master px
    centre: tuple[float, float]  # (x, y) px of the contact region in the impression
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    rotation: float  # rad, of the finger, counter-clockwise as seen
    pressure: float  # level of the skin in the middle: widens the ridges
    slope: tuple[float, float]  # of the pressure, over a half axis
    dryness: float  # 0 … 1, thins and breaks the ridges
    moisture: float  # 0 … 1, widens them and fills valleys in patches


def sample_touch(rng: np.random.Generator, placement: Placement) -> Touch:
    """A random touch."""
    size = placement.size
    rotation = float(np.clip(rng.normal(0, np.radians(9)), -np.pi / 7, np.pi / 7))
    middle = (np.array(size[::-1]) - 1) / 2
    shift = np.clip(rng.normal(0, (18, 22)), -55, 55)
    pressure = float(rng.normal(placement.pressure, 0.3))
    axes = np.array(placement.axes) * rng.normal(1, (0.07, 0.09)) * (1 + 0.12 * np.tanh(pressure))
    return Touch(
        size=size,
        warp=_lay(rng, size, rotation, middle + shift + (0, placement.finger)),
        centre=_pair(middle + shift + rng.normal((0, placement.contact), (6, 12))),
        axes=_pair(axes),
        rotation=rotation,
        pressure=pressure,
        slope=_pair(rng.normal(0, 0.12, 2)),
        dryness=float(rng.beta(1.2, 2.2)),
        moisture=float(rng.beta(1.2, 2.2)),
    )


def contact(master: Master, touch: Touch, rng: np.random.Generator) -> tuple[Image, Image]:
    """Height of the skin over the sensor's threshold, and the pressure's part in it; each [H, W].

    In units of half a ridge's height: above 0 the skin touches.
    """
    at = touch.warp.dense(*touch.size).astype(np.float32)
    x, y = (np.ascontiguousarray(at[..., k]) for k in (0, 1))
    ridges, relief = (
        cv2.remap(layer, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=-2)
        for layer in (master.ridges, master.relief)
    )
    level = pressure(touch, rng)
    size = touch.size
    dry = touch.dryness * np.clip(0.7 + 0.4 * smooth_noise(rng, size, 80), 0, 1.3)
    wet = touch.moisture * np.clip(smooth_noise(rng, size, 90), 0, 2)
    grain = 0.5 * smooth_noise(rng, size, 1.6) + 0.7 * smooth_noise(rng, size, 4)
    patches = smooth_noise(rng, size, 7)
    level = level - 0.35 * dry + 0.5 * wet
    skin = ridges + (0.8 + 0.8 * dry) * relief + level
    return skin + (0.15 + 0.5 * dry) * grain + 0.25 * wet * patches, level


def pressure(touch: Touch, rng: np.random.Generator) -> Image:
    """Level [H, W] that is added to the skin: gentle inside the contact, falling off beyond it."""
    y, x = np.ogrid[: touch.size[0], : touch.size[1]]
    x, y = x - touch.centre[0], y - touch.centre[1]
    c, s = np.cos(touch.rotation), np.sin(touch.rotation)
    u, v = (c * x - s * y) / touch.axes[0], (s * x + c * y) / touch.axes[1]
    radius = (np.abs(u) ** 2.4 + np.abs(v) ** 2.4) ** (1 / 2.4)
    radius += 0.03 * smooth_noise(rng, touch.size, 70) + 0.012 * smooth_noise(rng, touch.size, 10)
    level = touch.pressure + touch.slope[0] * u + touch.slope[1] * v
    level = level + 0.2 * smooth_noise(rng, touch.size, 65) - 0.35 * radius**2 + 0.15
    return np.asarray(level - np.logaddexp(0, (radius - 1) * 24), np.float32)


def _lay(rng: np.random.Generator, size: tuple[int, int], rotation: float, finger: Array) -> Warp:
    """The warp that puts the master's middle at `finger` (x, y) px, turned and stretched."""
    rows, columns = (int(np.ceil(extent / SPACING)) + 3 for extent in size)
    origin = (-SPACING, -SPACING)
    points = pixel_grid(rows, columns) * SPACING + origin
    control = _drag(rng, points - finger) + rng.normal(0, 1.0, points.shape)
    c, s = np.cos(rotation), np.sin(rotation)
    turn = np.array([[c, -s], [s, c]])  # undoes the finger's turn: from the impression back
    middle = (np.array(SIZE[::-1]) - 1) / 2
    matrix = np.hstack([turn, (middle - turn @ finger)[:, None]])
    bound = Warp(matrix, control * 1e-6, SPACING, origin).strain * 1e6
    return Warp(matrix, control * min(1.0, STRAIN / bound), SPACING, origin)


def _drag(rng: np.random.Generator, points: Array) -> Array:
    """Displacement [..., 2] px at `points` about the middle of the contact.

    The skin sticks in the middle and slips and twists with the finger towards the edge: Cappelli,
    Maio and Maltoni 2001, "Modelling plastic distortion in fingerprint images".
    """
    stuck = rng.uniform(40, 75, 2)
    distance = np.maximum(np.hypot(*np.moveaxis(points / stuck, -1, 0)) - 1, 0)
    slip = np.where(distance < 1.8, (1 - np.cos(np.pi * distance / 1.8)) / 2, 1.0)
    angle = rng.normal(0, 0.035)
    c, s = np.cos(angle), np.sin(angle)
    twist = points @ (np.array([[c, s], [-s, c]]) - np.eye(2))
    return np.asarray(slip[..., None] * (twist + rng.normal(0, 4.5, 2)))


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
