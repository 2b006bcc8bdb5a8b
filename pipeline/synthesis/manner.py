"""Distributions of touches: usual placement on a sensor, and manners (twisted, dry, light …)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Placement:
    """Usual placement of fingers on a sensor; lengths are px at 500 ppi.

    Attributes:
        size: (height, width) px of the image.
        axes: mean half axes (x, y) px of the contact region.
        finger: px by which the middle of the finger lies below that of the image, on average.
        contact: px by which the middle of the contact region lies below that of the image.
        pressure: mean pressure in the middle, half ridge heights.
    """

    size: tuple[int, int]
    axes: tuple[float, float]
    finger: float
    contact: float
    pressure: float


@dataclass(frozen=True)
class Manner:
    """Distribution of a touch about the usual placement.

    Lengths are px at 500 ppi, pressures half ridge heights. The defaults are those of a plain
    touch: chosen to vary as in FVC2002, except for the stretch, which was measured on DB1_B
    (docs/LOG.md, 2026-11-23, "Deformation between real impressions").
    """

    name: str = "plain"
    rotation_deviation: float = 9.0  # degrees
    rotation_max: float = 26.0  # degrees, limits the distribution
    shift_deviation: tuple[float, float] = (18.0, 22.0)  # px (x, y), of the finger
    shift_max: float = 55.0  # px along each axis, limits the distribution
    roll_deviation: float = 6.0  # px, of the contact region on the finger
    twist_deviation: float = 0.035  # rad, of the finger's edge against the skin that sticks
    slip_deviation: float = 4.5  # px along each axis, the same
    soft_range: tuple[float, float] = (1.6, 2.6)  # of `Drag.soft` (chosen)
    stretch_deviation: float = 0.015  # relative, of all the skin along each axis
    pressure_shift: float = 0.0  # added to the placement's pressure
    axes_factor: float = 1.0  # factor of the contact region's half axes
    dryness_range: tuple[float, float] = (0.0, 1.0)
    moisture_range: tuple[float, float] = (0.0, 1.0)


PLAIN = Manner()
# Chosen: stronger than plain touches, in the ways that volunteers of FVC2004 were asked for
# (Maio et al. 2004, "FVC2004: third fingerprint verification competition").
TWISTED = Manner(
    "twisted",
    rotation_deviation=20.0,
    rotation_max=40.0,
    twist_deviation=0.13,
    slip_deviation=14.0,
    stretch_deviation=0.04,
)
# Chosen by eye to reach the worst impressions of FVC2004 DB1_B, where the skin in the middle lags
# by half a finger's width or turns by up to 60 degrees.
STRAINED = Manner(
    "strained",
    rotation_deviation=20.0,
    rotation_max=40.0,
    twist_deviation=0.35,
    slip_deviation=28.0,
    soft_range=(2.4, 4.0),
    stretch_deviation=0.05,
    dryness_range=(0.0, 1.5),
    moisture_range=(0.0, 1.2),
)
DRY = Manner("dry", pressure_shift=-0.25, dryness_range=(0.8, 1.9), moisture_range=(0.0, 0.1))
WET = Manner(
    "wet",
    pressure_shift=0.3,
    axes_factor=1.06,
    dryness_range=(0.0, 0.1),
    moisture_range=(0.7, 1.8),
)
LIGHT = Manner("light", roll_deviation=25.0, pressure_shift=-0.35, axes_factor=0.72)
DISPLACED = Manner(
    "displaced",
    rotation_deviation=15.0,
    rotation_max=40.0,
    shift_deviation=(50.0, 60.0),
    shift_max=90.0,
    roll_deviation=25.0,
)
HARD = (TWISTED, STRAINED, DRY, WET, LIGHT, DISPLACED)


@dataclass(frozen=True)
class MannerParameters:
    """Manners and how often they occur."""

    # Share of touches in a hard manner (chosen; its effect: docs/LOG.md, 2026-11-23, "What each
    # ingredient is worth, two seeds").
    hard_share: float = 1 / 2
    hard: tuple[Manner, ...] = HARD  # each as likely
    plain: Manner = PLAIN  # all other touches


DEFAULT = MannerParameters()


def sample_manner(rng: np.random.Generator, parameters: MannerParameters = DEFAULT) -> Manner:
    """Sample the manner of one touch."""
    if rng.random() >= parameters.hard_share:
        return parameters.plain
    return parameters.hard[int(rng.integers(len(parameters.hard)))]
