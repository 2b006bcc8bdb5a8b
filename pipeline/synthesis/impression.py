"""One touch of a finger: how the skin is laid on, stretched and pressed, and where it touches.

Sampled once into a `Touch` (all that makes this impression differ from another), then applied.
The skin is resampled through `Touch.warp` and nothing moves afterwards, so that warp is the exact
map from a pixel of the impression to the master. All lengths are px at 500 ppi, whatever the
sensor's own resolution is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.warp import Array, Warp, pixel_grid
from pipeline.synthesis.frame import MASTER_SIZE as SIZE
from pipeline.synthesis.master import Master
from pipeline.synthesis.noise import FloatImage as Image
from pipeline.synthesis.noise import smooth_noise
from pipeline.synthesis.traces import (
    Residue,
    Smear,
    sample_residue,
    sample_smear,
    smeared,
    stained,
)

SPACING = 56.0  # px between the control points of the skin's distortion
STRAIN = 0.8  # bound on it: from 1 on the skin might fold


@dataclass(frozen=True)
class Placement:
    """How fingers are laid on a sensor, on average."""

    size: tuple[int, int]  # (height, width) px of the image
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    finger: float  # px by which the finger's middle lies below the image's
    contact: float  # px by which the middle of the contact region does
    pressure: float


@dataclass(frozen=True)
class Manner:
    """How a finger touches: what is drawn about these."""

    name: str = "plain"
    turn: float = 9.0  # degrees, deviation of the rotation, cut at turn_most
    turn_most: float = 26.0
    shift: tuple[float, float] = (18.0, 22.0)  # (x, y) px, deviation of the place, cut at …
    shift_most: float = 55.0
    roll: float = 6.0  # px, deviation of the contact's place on the finger
    twist: float = 0.035  # rad, deviation, of the skin at the contact's edge against its middle
    slip: float = 4.5  # px, deviation along each axis, of the same
    strain: float = 0.015  # deviation of how far all of the skin is stretched along either axis
    pressure: float = 0.0  # added to the placement's
    area: float = 1.0  # factor of the half axes
    dryness: tuple[float, float] = (0.0, 1.0)  # range
    moisture: tuple[float, float] = (0.0, 1.0)


PLAIN = Manner()
TWISTED = Manner("twisted", turn=20.0, turn_most=40.0, twist=0.13, slip=14.0, strain=0.04)
DRY = Manner("dry", pressure=-0.25, dryness=(0.8, 1.9), moisture=(0.0, 0.1))
WET = Manner("wet", pressure=0.3, area=1.06, dryness=(0.0, 0.1), moisture=(0.7, 1.8))
LIGHT = Manner("light", roll=25.0, pressure=-0.35, area=0.72)
DISPLACED = Manner(
    "displaced", turn=15.0, turn_most=40.0, shift=(50.0, 60.0), shift_most=90.0, roll=25.0
)
HARD = (TWISTED, DRY, WET, LIGHT, DISPLACED)
HARD_SHARE = 1 / 2  # of the touches


@dataclass(frozen=True)
class Drag:
    """How the skin that sticks stays behind the finger that slips and twists."""

    stuck: tuple[float, float]  # half axes (x, y) px, about the finger's middle, of what sticks
    soft: float  # width of what gives way around it, as a share of those
    twist: float  # rad, of the finger against what sticks
    slip: tuple[float, float]  # (x, y) px, the same


@dataclass(frozen=True)
class Touch:
    """The parameters of one impression of H × W px."""

    manner: str  # name of the manner that it was drawn from
    size: tuple[int, int]  # (height, width) px
    warp: Warp  # impression px → master px: what finger, rotation, stretch and drag come to
    finger: tuple[float, float]  # (x, y) px in the impression of the master's middle
    centre: tuple[float, float]  # (x, y) px of the contact region in the impression
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    rotation: float  # rad, of the finger, counter-clockwise as seen
    stretch: tuple[float, float, float]  # shares, of all the skin: along x, along y, aslant
    drag: Drag  # as far as it does not fold the skin
    pressure: float  # level of the skin in the middle: widens the ridges
    slope: tuple[float, float]  # of the pressure, over a half axis
    dryness: float  # 0 … 1, up to 2 in a dry touch: thins and breaks the ridges
    moisture: float  # 0 … 1, up to 2 in a wet one: widens them and fills valleys in patches
    smear: Smear | None = None
    residue: Residue | None = None


def sample_manner(rng: np.random.Generator) -> Manner:
    """Plain every other time, else one of HARD, which FVC2004 asked its people for."""
    return HARD[int(rng.integers(len(HARD)))] if rng.random() < HARD_SHARE else PLAIN


def sample_touch(rng: np.random.Generator, placement: Placement, manner: Manner = PLAIN) -> Touch:
    """A random touch."""
    size = placement.size
    most = np.radians(manner.turn_most)
    rotation = float(np.clip(rng.normal(0, np.radians(manner.turn)), -most, most))
    middle = (np.array(size[::-1]) - 1) / 2
    shift = np.clip(rng.normal(0, manner.shift), -manner.shift_most, manner.shift_most)
    pressure = float(rng.normal(placement.pressure + manner.pressure, 0.3))
    axes = np.array(placement.axes) * rng.normal(1, (0.07, 0.09)) * (1 + 0.12 * np.tanh(pressure))
    off = rng.normal((0, placement.contact), (manner.roll, manner.roll + 6))
    finger = middle + shift + (0, placement.finger)
    along_x, along_y, aslant = rng.normal(0, manner.strain, 3).tolist()
    stretch = (along_x, along_y, aslant)
    drag = _sample_drag(rng, manner)
    return Touch(
        manner=manner.name,
        size=size,
        warp=_lay(rng, size, finger, rotation, stretch, drag),
        finger=_pair(finger),
        centre=_pair(middle + shift + off),
        axes=_pair(axes * manner.area),
        rotation=rotation,
        stretch=stretch,
        drag=drag,
        pressure=pressure,
        slope=_pair(rng.normal(0, 0.12, 2)),
        dryness=_between(manner.dryness, rng.beta(1.2, 2.2)),
        moisture=_between(manner.moisture, rng.beta(1.2, 2.2)),
        smear=sample_smear(rng),
        residue=sample_residue(rng),
    )


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


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
    grain = 0.75 * smooth_noise(rng, size, 1.6) + 0.45 * smooth_noise(rng, size, 4)
    patches = smooth_noise(rng, size, 7)
    level = level - 0.22 * dry + 0.45 * wet
    skin = ridges + (0.9 + 0.5 * dry) * relief + level
    skin = skin + (0.06 + 0.3 * dry) * grain + 0.17 * wet * patches
    if touch.smear:
        skin = smeared(skin, touch.smear, rng)
    if touch.residue:
        skin = stained(skin, master.ridges, at, touch.residue, rng)
    return skin, level


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


def _lay(
    rng: np.random.Generator,
    size: tuple[int, int],
    finger: Array,
    rotation: float,
    stretch: tuple[float, float, float],
    drag: Drag,
) -> Warp:
    """The warp that puts the master's middle at `finger` (x, y) px, turned and stretched.

    It adds to the skin's drag a jitter of 1 px, which alone is drawn here.
    """
    rows, columns = (int(np.ceil(extent / SPACING)) + 3 for extent in size)
    origin = (-SPACING, -SPACING)
    points = pixel_grid(rows, columns) * SPACING + origin
    control = _behind(drag, points - finger) + rng.normal(0, 1.0, points.shape)
    c, s = np.cos(rotation), np.sin(rotation)
    along_x, along_y, aslant = stretch
    strain = np.array([[1 + along_x, aslant], [aslant, 1 + along_y]])
    # undoes the finger's turn: from the impression back
    turn = np.array([[c, -s], [s, c]]) @ strain
    middle = (np.array(SIZE[::-1]) - 1) / 2
    matrix = np.hstack([turn, (middle - turn @ finger)[:, None]])
    bound = Warp(matrix, control * 1e-6, SPACING, origin).strain * 1e6
    return Warp(matrix, control * min(1.0, STRAIN / bound), SPACING, origin)


def _sample_drag(rng: np.random.Generator, manner: Manner) -> Drag:
    return Drag(
        stuck=_pair(rng.uniform(30, 65, 2)),
        soft=rng.uniform(1.6, 2.6),
        twist=rng.normal(0, manner.twist),
        slip=_pair(rng.normal(0, manner.slip, 2)),
    )


def _behind(drag: Drag, points: Array) -> Array:
    """Displacement [..., 2] px at `points` about the middle of the contact.

    The skin sticks in the middle while the finger slips and twists, so that the skin between is
    stretched: Cappelli, Maio and Maltoni 2001, "Modelling plastic distortion in fingerprint
    images". The finger's edge is what `Touch.rotation` and the warp's matrix lay down; the middle
    stays behind.
    """
    radius = np.hypot(*np.moveaxis(points / drag.stuck, -1, 0))
    behind = (1 + np.cos(np.pi * np.clip((radius - 1) / drag.soft, 0, 1))) / 2
    c, s = np.cos(drag.twist), np.sin(drag.twist)
    twist = points @ (np.array([[c, s], [-s, c]]) - np.eye(2))
    return np.asarray(behind[..., None] * (twist + drag.slip))


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
