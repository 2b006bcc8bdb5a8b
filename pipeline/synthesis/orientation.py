"""Ridge flow of a finger: pattern class, orientation field and ridge period.

The orientation is the zero-pole model of Sherlock and Monro 1993, "A model for interpreting
fingerprint topology": every core adds half the angle under which it is seen, every delta subtracts
it. Smooth corrections are added, in the spirit of Vizcaya and Gerhardt 1996, "A nonlinear
orientation model for global description of fingerprints": a dome that bends the ridges around the
fingertip, straighter ridges below the cores, and a random field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.synthesis import period, singularities
from pipeline.synthesis.frame import MASTER_SIZE, ComplexImage, centred_plane
from pipeline.synthesis.noise import FloatImage, smooth_noise
from pipeline.synthesis.singularities import Points


@dataclass(frozen=True)
class OrientationParameters:
    """Numbers of the corrections to the zero-pole model, and those of the model's other parts.

    Lengths are px at 500 ppi, y upwards from the middle of the master. Chosen by eye against
    FVC2002 DB1_B and DB3_B: docs/LOG.md, 2026-11-22, "The first synthetic impressions".
    """

    dome_x_deviation: float = 8  # px, horizontal position of the dome
    dome_y_range: tuple[float, float] = (80, 130)  # px below the middle, where the dome begins
    dome_rise_range: tuple[float, float] = (30, 50)  # px, width of that transition
    dome_turn_range: tuple[float, float] = (0.5, 0.8)  # rad, turn at the sides
    dome_width_range: tuple[float, float] = (70, 110)  # px
    bump_width_range: tuple[float, float] = (38, 60)  # px, bump of the arches
    bump_height_range: tuple[float, float] = (55, 85)  # px
    bump_y_range: tuple[float, float] = (-10, 40)  # px below the middle
    arch_turn_range: tuple[float, float] = (0.3, 0.7)  # rad, turn by the bump of an arch
    tented_turn_range: tuple[float, float] = (0.1, 0.3)  # rad, the same of a tented arch
    loop_turn_range: tuple[float, float] = (0.0, 0.45)  # rad, makes the axis of a loop steeper
    loop_drop: float = 20  # px below the core, centre of that turn
    loop_reach_range: tuple[float, float] = (60, 90)  # px
    legs_share_range: tuple[float, float] = (0.35, 0.7)  # 1: fully straight ridges below a core
    legs_reach: float = 90.0  # px, where there is one core; else the distance of the cores
    random_degrees_range: tuple[float, float] = (3, 7)  # degrees, deviation of the random field
    random_scale: float = 110  # px
    singularities: singularities.SingularityParameters = singularities.DEFAULT
    period: period.PeriodParameters = period.DEFAULT


DEFAULT = OrientationParameters()


@dataclass(frozen=True)
class Flow:
    """Ridge flow over a master of H × W px."""

    label: str  # pattern class, one of CLASSES
    angle: FloatImage  # [H, W] rad, tangent of the ridge, counter-clockwise as seen, modulo π
    period: FloatImage  # [H, W] px from ridge to ridge
    cores: Points  # x + iy px from the middle of the master, y upwards
    deltas: Points  # the same


def sample_flow(
    rng: np.random.Generator,
    size: tuple[int, int] = MASTER_SIZE,
    parameters: OrientationParameters = DEFAULT,
) -> Flow:
    """Sample the ridge flow of a finger.

    Args:
        rng: generator.
        size: (height, width) px of the master.
        parameters: numbers of the orientation field.
    """
    label = singularities.sample_class(rng, parameters.singularities)
    cores, deltas = singularities.sample_singularities(label, rng, parameters.singularities)
    plane = centred_plane(size)
    angle = zero_pole(plane, cores, deltas) - _dome_and_bump(plane, label, rng, parameters)
    if label.endswith("-loop"):
        angle += _loop_turn(plane, cores[0], deltas[0], rng, parameters)
    for core in cores:
        reach = parameters.legs_reach if len(cores) == 1 else abs(cores[0] - cores[1])
        share = rng.uniform(*parameters.legs_share_range)
        angle += _straighten_legs(plane, core, angle, reach, share)
    deviation = np.radians(rng.uniform(*parameters.random_degrees_range))
    angle += np.float32(deviation) * smooth_noise(rng, size, parameters.random_scale)
    ridge_period = period.sample_period(plane, rng, parameters.period)
    return Flow(label, angle.astype(np.float32), ridge_period, cores, deltas)


def zero_pole(plane: ComplexImage, cores: Points, deltas: Points) -> FloatImage:
    """Compute the zero-pole model: half the sum of the angles about cores, less that about deltas.

    Args:
        plane: positions x + iy px, complex64 [...], y upwards.
        cores: positions of the cores in the same plane.
        deltas: positions of the deltas.

    Returns:
        Orientation in rad, float32 [...], counter-clockwise as seen.
    """
    turn = sum(np.angle(plane - core) for core in cores)
    turn = turn - sum(np.angle(plane - delta) for delta in deltas)
    return np.asarray(turn / 2, np.float32) * np.ones(plane.shape, np.float32)


def _dome_and_bump(
    plane: ComplexImage, label: str, rng: np.random.Generator, parameters: OrientationParameters
) -> FloatImage:
    """Clockwise turn [H, W] rad of the dome over the fingertip and of the bump of arches."""
    x, y = plane.real - rng.normal(0, parameters.dome_x_deviation), plane.imag
    begin = rng.uniform(*parameters.dome_y_range)
    rise = 1 / (1 + np.exp(-(y + begin) / rng.uniform(*parameters.dome_rise_range)))
    turn = rng.uniform(*parameters.dome_turn_range)
    dome = turn * np.tanh(x / rng.uniform(*parameters.dome_width_range)) * rise
    if label not in ("arch", "tented-arch"):
        return np.asarray(dome)
    width = rng.uniform(*parameters.bump_width_range)
    height = rng.uniform(*parameters.bump_height_range)
    bump = x / width * np.exp(0.5 - (x / width) ** 2 / 2)
    bump *= np.exp(-(((y + rng.uniform(*parameters.bump_y_range)) / height) ** 2) / 2)
    is_arch = label == "arch"
    turn_range = parameters.arch_turn_range if is_arch else parameters.tented_turn_range
    return np.asarray(dome + rng.uniform(*turn_range) * bump)


def _loop_turn(
    plane: ComplexImage,
    core: complex,
    delta: complex,
    rng: np.random.Generator,
    parameters: OrientationParameters,
) -> FloatImage:
    """Turn [H, W] rad about the core of a loop, which is too flat in the zero-pole model."""
    turn = np.sign((delta - core).real) * rng.uniform(*parameters.loop_turn_range)
    squared_distance = np.abs(plane - core + 1j * parameters.loop_drop) ** 2
    return turn * np.exp(-squared_distance / (2 * rng.uniform(*parameters.loop_reach_range) ** 2))


def _straighten_legs(
    plane: ComplexImage, core: complex, angle: FloatImage, reach: float, share: float
) -> FloatImage:
    """Turn [H, W] rad that makes ridges bend over the top of a core and run straight below it.

    Without it the parabolas of the zero-pole model open so fast that ridges fan out from the core.
    """
    offset = plane - core
    height, width = plane.shape
    pixel = round((height - 1) / 2 - core.imag), round((width - 1) / 2 + core.real)
    # Direction from the core in which the ridges are perpendicular to the ray.
    top = 2 * (angle[pixel] - np.angle(offset[pixel]) / 2) - np.pi
    turn = share / 2 * np.sin(np.angle(offset) - top)
    return np.asarray(turn * np.exp(-(np.abs(offset) ** 2) / (2 * reach**2)), np.float32)
