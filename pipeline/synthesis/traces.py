"""Traces of sweat in an impression: smears of a sliding finger, residue of an earlier touch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.synthesis.noise import FloatImage, SmoothNoise


@dataclass(frozen=True)
class TraceParameters:
    """Numbers of smears and residues; lengths are px at 500 ppi. Chosen by eye.

    The shares were halved, as FVC2002 shows few of either: docs/LOG.md, 2026-11-23, "Skin and
    sensors fitted together (VERSION 6)".
    """

    smear_share: float = 0.08  # of the touches
    smear_length_range: tuple[float, float] = (4, 14)  # px
    smear_level: float = 0.3  # mean share of the skin that is smeared
    smear_patches: SmoothNoise = SmoothNoise(0.8, 60)  # share, px
    residue_share: float = 0.1  # of the touches
    residue_height_range: tuple[float, float] = (-1.6, -0.5)  # see `Residue.height`
    residue_turn_deviation: float = 0.6  # rad
    residue_shift_deviation: float = 50  # px along each axis
    residue_radius: float = 130.0  # px about the master's middle: region of the earlier contact
    residue_fall: float = 4  # half ridge heights per such radius, beyond that region
    residue_noise: SmoothNoise = SmoothNoise(0.4, 25)  # half ridge heights, px


DEFAULT = TraceParameters()


@dataclass(frozen=True)
class Smear:
    """Slide of the finger when it was lifted."""

    length: float  # px
    angle: float  # rad, counter-clockwise as seen


@dataclass(frozen=True)
class Residue:
    """Sweat on the glass from an earlier touch of the same finger."""

    height: float  # of its crests over the surface, half ridge heights: below 0, a faint trace
    turn: float  # rad, against the present touch, counter-clockwise as seen
    shift: tuple[float, float]  # (x, y) px of the master, against the present touch


def sample_smear(rng: np.random.Generator, parameters: TraceParameters = DEFAULT) -> Smear | None:
    """Sample a smear; None for most touches."""
    length = float(rng.uniform(*parameters.smear_length_range))
    smear = Smear(length, float(rng.uniform(0, np.pi)))
    return smear if rng.random() < parameters.smear_share else None


def sample_residue(
    rng: np.random.Generator, parameters: TraceParameters = DEFAULT
) -> Residue | None:
    """Sample a residue; None for most touches."""
    x, y = rng.normal(0, parameters.residue_shift_deviation, 2)
    turn = float(rng.normal(0, parameters.residue_turn_deviation))
    height = float(rng.uniform(*parameters.residue_height_range))
    residue = Residue(height, turn, (float(x), float(y)))
    return residue if rng.random() < parameters.residue_share else None


def apply_smear(
    skin: FloatImage,
    smear: Smear,
    rng: np.random.Generator,
    parameters: TraceParameters = DEFAULT,
) -> FloatImage:
    """Blur the height of the skin [H, W] along the slide, in patches; the mean does not move."""
    kernel = _line_kernel(smear)
    share = parameters.smear_level + parameters.smear_patches.sample(skin.shape, rng)
    blurred = cv2.filter2D(skin, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(skin + np.clip(share, 0, 1) * (blurred - skin), np.float32)


def _line_kernel(smear: Smear) -> FloatImage:
    """Kernel of sum 1: a straight line of the smear's length and angle through the middle."""
    reach = int(np.ceil(smear.length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    half = smear.length / 2 * np.array([np.cos(smear.angle), -np.sin(smear.angle)])
    ends = np.rint((reach + np.array([-half, half])) * 16).astype(int)  # sixteenths of a px
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    return np.asarray(kernel / kernel.sum())


def add_residue(
    skin: FloatImage,
    ridges: FloatImage,
    positions: FloatImage,
    residue: Residue,
    rng: np.random.Generator,
    parameters: TraceParameters = DEFAULT,
) -> FloatImage:
    """Add the residue of an earlier touch; it shows where it is higher than the skin.

    Args:
        skin: height of the skin, float32 [H, W], half ridge heights.
        ridges: ridge pattern of the master, float32 [h, w].
        positions: (x, y) px of the master at each pixel, float32 [H, W, 2].
        residue: the earlier touch.
        rng: generator of noise fields.
        parameters: numbers of the traces.

    Returns:
        The higher of both heights, float32 [H, W].
    """
    middle = (np.array(ridges.shape[::-1], np.float32) - 1) / 2
    x, y = np.moveaxis(positions - middle, -1, 0)
    c, s = np.float32(np.cos(residue.turn)), np.float32(np.sin(residue.turn))
    x, y = c * x + s * y + residue.shift[0], c * y - s * x + residue.shift[1]
    beyond = np.maximum(np.hypot(x, y) / parameters.residue_radius - 1, 0)
    faded = residue.height - 1 - parameters.residue_fall * beyond
    faded = faded + parameters.residue_noise.sample(skin.shape, rng)
    border = cv2.BORDER_REPLICATE
    crests = cv2.remap(ridges, x + middle[0], y + middle[1], cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(np.maximum(skin, crests + faded), np.float32)
