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
STRAIN = 0.3  # bound on it


@dataclass(frozen=True)
class Touch:
    """The parameters of one impression of H × W px."""

    size: tuple[int, int]  # (height, width) px
    warp: Warp  # impression px → master px
    centre: tuple[float, float]  # (x, y) px of the contact region in the impression
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    rotation: float  # rad, of the finger, counter-clockwise as seen
    pressure: float  # widens the ridges; the level of the skin at the middle of the contact
    slope: tuple[float, float]  # of the pressure, over a half axis
    dryness: float  # 0 … 1, breaks the ridges
    moisture: float  # 0 … 1, fills the valleys in patches
    distortion: float  # px, the largest displacement of the skin


def sample_touch(rng: np.random.Generator, size: tuple[int, int], area: float = 1.0) -> Touch:
    """A random touch that fits an image of `size` (height, width) px; `area` scales the contact."""
    rotation = float(np.clip(rng.normal(0, np.radians(9)), -np.pi / 7, np.pi / 7))
    middle = (np.array(size[::-1]) - 1) / 2
    finger = middle + np.clip(rng.normal((0, 4), (16, 18)), -45, 45)
    warp = _lay(rng, size, rotation, finger)
    wide, tall = rng.normal(118, 9), rng.normal(162, 14)
    pressure = rng.normal(0.1, 0.2)
    grown = np.sqrt(area) * (1 + 0.25 * np.clip(pressure, -0.5, 0.5))
    return Touch(
        size=size,
        warp=warp,
        centre=tuple((finger + rng.normal(0, (7, 12))).tolist()),
        axes=(float(wide * grown), float(tall * grown)),
        rotation=rotation,
        pressure=float(pressure),
        slope=tuple(rng.normal(0, 0.15, 2).tolist()),
        dryness=float(rng.beta(1.1, 2.5)),
        moisture=float(rng.beta(1.1, 2.5)),
        distortion=float(np.abs(warp.control).max(initial=0.0)),
    )


def contact(master: Master, touch: Touch, rng: np.random.Generator) -> tuple[Image, Image]:
    """How far the skin is above the sensor's threshold, and the pressure on it; each [H, W].

    The first is in units of half a ridge's height: above 0 the skin touches.
    """
    at = touch.warp.dense(*touch.size).astype(np.float32)
    x, y = (np.ascontiguousarray(at[..., k]) for k in (0, 1))
    ridges, relief = (
        cv2.remap(layer, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=-2)
        for layer in (master.ridges, master.relief)
    )
    level = pressure(touch, rng)
    size = touch.size
    dry = touch.dryness * np.clip(0.7 + 0.6 * smooth_noise(rng, size, 50), 0, 2)
    grain = 0.6 * smooth_noise(rng, size, 1.5) + 0.8 * smooth_noise(rng, size, 4)
    wet = touch.moisture * np.clip(smooth_noise(rng, size, 60) - 0.4, 0, 2)
    blobs = np.clip(0.6 + smooth_noise(rng, size, 7), 0, 3)
    skin = ridges + relief + level
    skin += dry * (0.75 * grain - 0.35) + wet * blobs
    return skin, level


def pressure(touch: Touch, rng: np.random.Generator) -> Image:
    """Level [H, W] that is added to the skin: flat inside the contact, falling beyond its edge."""
    y, x = np.ogrid[: touch.size[0], : touch.size[1]]
    x, y = x - touch.centre[0], y - touch.centre[1]
    c, s = np.cos(touch.rotation), np.sin(touch.rotation)
    u, v = (c * x - s * y) / touch.axes[0], (s * x + c * y) / touch.axes[1]
    radius = (np.abs(u) ** 2.5 + np.abs(v) ** 2.5) ** (1 / 2.5)
    radius += 0.035 * smooth_noise(rng, touch.size, 70) + 0.015 * smooth_noise(rng, touch.size, 12)
    level = touch.pressure + touch.slope[0] * u + touch.slope[1] * v
    level = level + 0.22 * smooth_noise(rng, touch.size, 45) - 0.25 * radius**2
    return np.asarray(level - np.logaddexp(0, (radius - 1) * 22), np.float32)


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
    distance = np.maximum(np.hypot(points[..., 0] / stuck[0], points[..., 1] / stuck[1]) - 1, 0)
    slip = np.where(distance < 1.8, (1 - np.cos(np.pi * distance / 1.8)) / 2, 1.0)
    angle = rng.normal(0, 0.035)
    twist = points @ (
        np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) - np.eye(2)
    )
    return slip[..., None] * (twist + rng.normal(0, 4.5, 2))
