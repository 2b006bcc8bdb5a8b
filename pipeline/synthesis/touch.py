"""One touch: all sampled parameters of one contact between a finger and a sensor.

A `Touch` is sampled once and then applied (`pipeline.synthesis.contact`). The skin is resampled
through its warp and nothing moves afterwards, so that this warp is the exact map from a pixel of
the impression to the master. Lengths are px at 500 ppi, whatever the sensor's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.imaging.warp import Array, Warp
from pipeline.synthesis import distortion, traces
from pipeline.synthesis.distortion import Drag, Pose, sample_drag, sample_warp
from pipeline.synthesis.manner import PLAIN, Manner, Placement
from pipeline.synthesis.traces import Residue, Smear, sample_residue, sample_smear


@dataclass(frozen=True)
class TouchParameters:
    """Numbers of a touch that are the same in all manners; chosen by eye."""

    pressure_deviation: float = 0.3  # half ridge heights
    axes_deviation: tuple[float, float] = (0.07, 0.09)  # relative, half axes (x, y)
    axes_per_pressure: float = 0.12  # relative growth of the half axes, at tanh(pressure) = 1
    roll_along: float = 6  # px added to the manner's roll deviation along the finger (y)
    slope_deviation: float = 0.12  # half ridge heights of pressure per half axis
    # Parameters of the beta distribution of dryness and moisture within the manner's ranges.
    sweat_beta: tuple[float, float] = (1.2, 2.2)
    distortion: distortion.DistortionParameters = distortion.DEFAULT
    traces: traces.TraceParameters = traces.DEFAULT


DEFAULT = TouchParameters()


@dataclass(frozen=True)
class Touch:
    """Parameters of one impression of H × W px; written to its sidecar, but for the warp."""

    manner: str  # name of the manner
    size: tuple[int, int]  # (height, width) px
    warp: Warp  # px of the impression → px of the master, by pose and drag
    finger: tuple[float, float]  # (x, y) px in the impression of the master's middle
    centre: tuple[float, float]  # (x, y) px in the impression of the contact region's middle
    axes: tuple[float, float]  # half axes (x, y) px of the contact region
    rotation: float  # rad, of the finger, counter-clockwise as seen
    stretch: tuple[float, float, float]  # relative, of all the skin: along x, along y, shear
    drag: Drag  # before it was scaled down to the limit of the strain
    pressure: float  # in the middle, half ridge heights: widens the ridges
    slope: tuple[float, float]  # change of the pressure over a half axis, (x, y)
    dryness: float  # 0 … 1, up to 2 in a dry touch: thins and breaks the ridges
    moisture: float  # 0 … 1, up to 2 in a wet touch: widens them and fills valleys in patches
    smear: Smear | None = None
    residue: Residue | None = None


def sample_touch(
    rng: np.random.Generator,
    placement: Placement,
    manner: Manner = PLAIN,
    parameters: TouchParameters = DEFAULT,
) -> Touch:
    """Sample a touch.

    Args:
        rng: generator.
        placement: usual placement of fingers on the sensor.
        manner: distribution about that placement.
        parameters: numbers that are the same in all manners.
    """
    rotation = _sample_rotation(rng, manner)
    middle = (np.array(placement.size[::-1]) - 1) / 2 + _sample_shift(rng, manner)
    pressure_mean = placement.pressure + manner.pressure_shift
    pressure = float(rng.normal(pressure_mean, parameters.pressure_deviation))
    axes = _sample_axes(rng, placement, pressure, parameters) * manner.axes_factor
    roll = (manner.roll_deviation, manner.roll_deviation + parameters.roll_along)
    centre = middle + rng.normal((0, placement.contact), roll)
    along_x, along_y, shear = rng.normal(0, manner.stretch_deviation, 3).tolist()
    finger = _pair(middle + np.array([0, placement.finger]))
    pose = Pose(finger, rotation, (along_x, along_y, shear))
    drag = sample_drag(rng, manner, parameters.distortion)
    return Touch(
        manner=manner.name,
        size=placement.size,
        warp=sample_warp(rng, placement.size, pose, drag, parameters.distortion),
        finger=pose.finger,
        centre=_pair(centre),
        axes=_pair(axes),
        rotation=rotation,
        stretch=pose.stretch,
        drag=drag,
        pressure=pressure,
        slope=_pair(rng.normal(0, parameters.slope_deviation, 2)),
        dryness=_within(manner.dryness_range, rng.beta(*parameters.sweat_beta)),
        moisture=_within(manner.moisture_range, rng.beta(*parameters.sweat_beta)),
        smear=sample_smear(rng, parameters.traces),
        residue=sample_residue(rng, parameters.traces),
    )


def _sample_rotation(rng: np.random.Generator, manner: Manner) -> float:
    """Sample the rotation of the finger, rad."""
    limit = np.radians(manner.rotation_max)
    rotation = rng.normal(0, np.radians(manner.rotation_deviation))
    return float(np.clip(rotation, -limit, limit))


def _sample_shift(rng: np.random.Generator, manner: Manner) -> Array:
    """Sample the shift (x, y) px of the finger from its usual position."""
    shift = rng.normal(0, manner.shift_deviation)
    return np.asarray(np.clip(shift, -manner.shift_max, manner.shift_max))


def _sample_axes(
    rng: np.random.Generator, placement: Placement, pressure: float, parameters: TouchParameters
) -> Array:
    """Sample the half axes (x, y) px of the contact region, larger under pressure."""
    factor = rng.normal(1, parameters.axes_deviation)
    growth = 1 + parameters.axes_per_pressure * np.tanh(pressure)
    return np.asarray(np.array(placement.axes) * factor * growth)


def _within(bounds: tuple[float, float], share: float) -> float:
    """Return the number at `share` (0 … 1) of the way from the lower to the upper bound."""
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
