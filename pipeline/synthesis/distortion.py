"""Plastic distortion of the skin in contact, and the exact map from an impression to the master.

Model of Cappelli, Maio and Maltoni 2001, "Modelling plastic distortion in fingerprint images": the
skin in the middle of the contact sticks to the glass while the finger slips and twists, so that
the skin between them is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.imaging.warp import Array, Warp, pixel_grid
from pipeline.synthesis.frame import MASTER_MIDDLE
from pipeline.synthesis.manner import Manner


@dataclass(frozen=True)
class DistortionParameters:
    """Numbers of the distortion; lengths are px at 500 ppi.

    Twist, slip and the width of the stretched skin belong to the manner of the touch.
    """

    spacing: float = 56.0  # px between the spline's control points (chosen: smooth over 6 ridges)
    # Limit of the strain; from 1 on the map might fold. Measured: plain touches need half of it
    # (docs/LOG.md, 2026-11-23, "Distance of synthetic from real impressions").
    strain_max: float = 0.8
    jitter: float = 1.0  # px, deviation of the control points (chosen)
    stuck_range: tuple[float, float] = (30, 65)  # px, half axes of the skin that sticks (chosen)


DEFAULT = DistortionParameters()


@dataclass(frozen=True)
class Drag:
    """Motion of the finger against the skin that sticks to the glass."""

    stuck: tuple[float, float]  # half axes (x, y) px of the skin that sticks, about the middle
    soft: float  # width of the stretched skin around it, as a multiple of these half axes
    twist: float  # rad, rotation of the finger against the skin that sticks
    slip: tuple[float, float]  # (x, y) px, shift of the finger against it


@dataclass(frozen=True)
class Pose:
    """Position of the whole finger in the image, without drag."""

    finger: tuple[float, float]  # (x, y) px in the image of the master's middle
    rotation: float  # rad, counter-clockwise as seen
    stretch: tuple[float, float, float]  # relative stretch along x, along y, and shear

    def matrix(self) -> Array:
        """Affine matrix float64 [2, 3] from px of the image to px of the master."""
        c, s = np.cos(self.rotation), np.sin(self.rotation)
        along_x, along_y, shear = self.stretch
        strain = np.array([[1 + along_x, shear], [shear, 1 + along_y]])
        linear = np.array([[c, -s], [s, c]]) @ strain  # undoes the rotation: from image to master
        shift = np.array(MASTER_MIDDLE) - linear @ np.array(self.finger)
        return np.hstack([linear, shift[:, None]])


def sample_drag(
    rng: np.random.Generator, manner: Manner, parameters: DistortionParameters = DEFAULT
) -> Drag:
    """Sample the drag of one touch."""
    stuck_x, stuck_y = rng.uniform(*parameters.stuck_range, 2).tolist()
    soft = rng.uniform(*manner.soft_range)
    twist = rng.normal(0, manner.twist_deviation)
    slip_x, slip_y = rng.normal(0, manner.slip_deviation, 2).tolist()
    return Drag((stuck_x, stuck_y), soft, twist, (slip_x, slip_y))


def sample_warp(
    rng: np.random.Generator,
    size: tuple[int, int],
    pose: Pose,
    drag: Drag,
    parameters: DistortionParameters = DEFAULT,
) -> Warp:
    """Build the map of a touch; a jitter of the control points is all that is sampled.

    Args:
        rng: generator of the jitter.
        size: (height, width) px of the image.
        pose: position of the finger.
        drag: motion of the finger against the skin that sticks.
        parameters: numbers of the distortion.

    Returns:
        Warp from px of the image to px of the master. The drag is scaled down where its strain
        would exceed `strain_max`.
    """
    spacing = parameters.spacing
    rows, columns = [int(np.ceil(extent / spacing)) + 3 for extent in size]
    origin = (-spacing, -spacing)
    points = pixel_grid(rows, columns) * spacing + origin
    jitter = rng.normal(0, parameters.jitter, points.shape)
    control = drag_displacement(drag, points - np.array(pose.finger)) + jitter
    matrix = pose.matrix()
    # A Warp refuses strains of 1 or more, so that the strain is measured on a millionth.
    strain = Warp(matrix, control * 1e-6, spacing, origin).strain * 1e6
    return Warp(matrix, control * min(1.0, parameters.strain_max / strain), spacing, origin)


def drag_displacement(drag: Drag, points: Array) -> Array:
    """Compute the displacement (x, y) px [..., 2] at `points` [..., 2] relative to the finger.

    It is full in the middle, where the skin stays behind, and zero at the finger's edge, whose
    position is the pose.
    """
    radius = np.hypot(*np.moveaxis(points / drag.stuck, -1, 0))
    share = (1 + np.cos(np.pi * np.clip((radius - 1) / drag.soft, 0, 1))) / 2
    c, s = np.cos(drag.twist), np.sin(drag.twist)
    twist = points @ (np.array([[c, s], [-s, c]]) - np.eye(2))
    return np.asarray(share[..., None] * (twist + drag.slip))
