"""Contact of the skin with a sensor: height of the skin over the surface, and the pressure.

Heights and pressures have the unit half a ridge height; skin above 0 is in contact.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.warp import Array
from pipeline.synthesis import traces
from pipeline.synthesis.master import Master
from pipeline.synthesis.noise import FloatImage, SmoothNoise, sample_sum, smooth_noise
from pipeline.synthesis.touch import Touch
from pipeline.synthesis.traces import add_residue, apply_smear


@dataclass(frozen=True)
class PressureParameters:
    """Numbers of the pressure over the contact region; chosen by eye."""

    exponent: float = 2.4  # of the contact region, a superellipse (2: ellipse)
    outline_noise: tuple[SmoothNoise, ...] = (SmoothNoise(0.03, 70), SmoothNoise(0.012, 10))
    clouds: SmoothNoise = SmoothNoise(0.2, 65)  # half ridge heights, px
    fall: float = 0.35  # half ridge heights from the middle to the outline
    level: float = 0.15  # half ridge heights, added everywhere
    edge_slope: float = 24  # half ridge heights per half axis beyond the outline


PRESSURE = PressureParameters()


@dataclass(frozen=True)
class ContactParameters:
    """Numbers of the skin's contact.

    Source of each number without another one: fit to FVC2002 DB1_B and DB3_B, docs/LOG.md,
    2026-11-23, "Skin and sensors fitted together (VERSION 6)".
    """

    outside: float = -2  # half ridge heights, ridge and relief beyond the master (chosen)
    dry_level: float = 0.7  # mean share of the touch's dryness (chosen)
    dry_patches: SmoothNoise = SmoothNoise(0.4, 80)  # share, px (chosen)
    dry_limits: tuple[float, float] = (0, 1.3)  # share (chosen)
    wet_patches: SmoothNoise = SmoothNoise(1, 90)  # share of the touch's moisture, px (chosen)
    wet_limits: tuple[float, float] = (0, 2)  # share (chosen)
    height_per_dryness: float = -0.22  # half ridge heights
    height_per_moisture: float = 0.45  # half ridge heights
    relief: float = 0.9  # factor of the master's relief
    relief_per_dryness: float = 0.5
    grain: tuple[SmoothNoise, ...] = (SmoothNoise(0.75, 1.6), SmoothNoise(0.45, 4))  # scale in px
    grain_height: float = 0.06  # half ridge heights, factor of the grain
    grain_per_dryness: float = 0.3
    blotch_scale: float = 7  # px
    blotches_per_moisture: float = 0.17  # half ridge heights, deviation
    pressure: PressureParameters = PRESSURE
    traces: traces.TraceParameters = traces.DEFAULT


DEFAULT = ContactParameters()


def compute_contact(
    master: Master,
    touch: Touch,
    rng: np.random.Generator,
    parameters: ContactParameters = DEFAULT,
) -> tuple[FloatImage, FloatImage]:
    """Press the skin of `master` on a surface as `touch` describes.

    Args:
        master: skin of the finger.
        touch: parameters of the impression.
        rng: generator of noise fields; all other random parameters are in `touch`.
        parameters: numbers of the contact.

    Returns:
        Height of the skin over the surface and the part of pressure, dryness and moisture in it,
        both float32 [H, W], half ridge heights, 500 ppi.
    """
    positions = touch.warp.dense(*touch.size).astype(np.float32)
    ridges = _sample_master(master.ridges, positions, parameters.outside)
    relief = _sample_master(master.relief, positions, parameters.outside)
    pressure = pressure_field(touch, rng, parameters.pressure)
    dry, wet = _sample_sweat(touch, rng, parameters)
    pressure = pressure + parameters.height_per_dryness * dry + parameters.height_per_moisture * wet
    skin = ridges + (parameters.relief + parameters.relief_per_dryness * dry) * relief + pressure
    skin = _add_grain(skin, dry, wet, rng, parameters)
    if touch.smear:
        skin = apply_smear(skin, touch.smear, rng, parameters.traces)
    if touch.residue:
        skin = add_residue(skin, master.ridges, positions, touch.residue, rng, parameters.traces)
    return skin, pressure


def _sample_sweat(
    touch: Touch, rng: np.random.Generator, parameters: ContactParameters
) -> tuple[FloatImage, FloatImage]:
    """Sample the dryness and the moisture at every pixel, each [H, W]."""
    dry = parameters.dry_level + parameters.dry_patches.sample(touch.size, rng)
    wet = parameters.wet_patches.sample(touch.size, rng)
    dry = touch.dryness * np.clip(dry, *parameters.dry_limits)
    return dry, touch.moisture * np.clip(wet, *parameters.wet_limits)


def _add_grain(
    skin: FloatImage,
    dry: FloatImage,
    wet: FloatImage,
    rng: np.random.Generator,
    parameters: ContactParameters,
) -> FloatImage:
    """Roughen dry skin and fill valleys of wet skin in blotches; all [H, W]."""
    grain = sample_sum(parameters.grain, skin.shape, rng)
    blotches = smooth_noise(rng, skin.shape, parameters.blotch_scale)
    skin = skin + (parameters.grain_height + parameters.grain_per_dryness * dry) * grain
    return skin + parameters.blotches_per_moisture * wet * blotches


def pressure_field(
    touch: Touch, rng: np.random.Generator, parameters: PressureParameters = PRESSURE
) -> FloatImage:
    """Compute the pressure [H, W], half ridge heights: even inside the contact, falling outside."""
    u, v = _finger_coordinates(touch)
    exponent = parameters.exponent
    radius = (np.abs(u) ** exponent + np.abs(v) ** exponent) ** (1 / exponent)
    radius += sample_sum(parameters.outline_noise, touch.size, rng)
    pressure = touch.pressure + touch.slope[0] * u + touch.slope[1] * v
    pressure = pressure + parameters.clouds.sample(touch.size, rng)
    pressure = pressure - parameters.fall * radius**2 + parameters.level
    outside = np.logaddexp(0, (radius - 1) * parameters.edge_slope)
    return np.asarray(pressure - outside, np.float32)


def _finger_coordinates(touch: Touch) -> tuple[Array, Array]:
    """Coordinates [H, W] across and along the finger, in half axes of the contact region."""
    y, x = np.ogrid[: touch.size[0], : touch.size[1]]
    x, y = x - touch.centre[0], y - touch.centre[1]
    c, s = np.cos(touch.rotation), np.sin(touch.rotation)
    return (c * x - s * y) / touch.axes[0], (s * x + c * y) / touch.axes[1]


def _sample_master(layer: FloatImage, positions: FloatImage, outside: float) -> FloatImage:
    """Bicubic samples [H, W] of a layer of the master at `positions` [H, W, 2]."""
    x, y = np.ascontiguousarray(positions[..., 0]), np.ascontiguousarray(positions[..., 1])
    mode = cv2.BORDER_CONSTANT
    samples = cv2.remap(layer, x, y, cv2.INTER_CUBIC, borderMode=mode, borderValue=outside)
    return np.asarray(samples, np.float32)
