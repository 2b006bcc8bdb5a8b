"""Ridge period of a finger: the distance from ridge to ridge at every pixel of the master."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.synthesis.frame import ComplexImage
from pipeline.synthesis.noise import FloatImage, smooth_noise


@dataclass(frozen=True)
class PeriodParameters:
    """Numbers of the ridge period, px at 500 ppi.

    Mean and variation were fitted to FVC2002 DB1_B and DB3_B: docs/LOG.md, 2026-11-22, "The first
    synthetic impressions", and 2026-11-23, "Minutiae as real fingers have them".
    """

    base_normal: tuple[float, float] = (8.2, 0.7)  # px, mean period of a finger
    base_limits: tuple[float, float] = (6.9, 10.2)  # px
    joint_range: tuple[float, float] = (0.05, 0.2)  # share by which it is wider near the joint
    joint_distance: float = 130  # px below the middle, where half of that is reached
    joint_width: float = 25  # px, width of the transition
    patch_range: tuple[float, float] = (0.07, 0.13)  # share, deviation of smooth patches
    patch_scale: float = 80  # px
    period_range: tuple[float, float] = (6.5, 12.0)  # px, limits at every pixel


DEFAULT = PeriodParameters()


def sample_period(
    plane: ComplexImage, rng: np.random.Generator, parameters: PeriodParameters = DEFAULT
) -> FloatImage:
    """Sample the ridge period px, float32 [H, W], at the positions `plane` [H, W].

    It is wider towards the joint and varies in smooth patches.
    """
    base = np.clip(rng.normal(*parameters.base_normal), *parameters.base_limits)
    widening = rng.uniform(*parameters.joint_range)
    ramp = 1 + np.exp((plane.imag + parameters.joint_distance) / parameters.joint_width)
    joint = widening / ramp
    deviation = rng.uniform(*parameters.patch_range)
    patches = deviation * smooth_noise(rng, plane.shape, parameters.patch_scale)
    period = np.clip(base * (1 + joint + patches), *parameters.period_range)
    return np.asarray(period, np.float32)
