"""What sweat does to a touch: a finger that slides smears, and one that left leaves a residue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.noise import FloatImage as Image
from pipeline.synthesis.noise import smooth_noise

CONTACT = 130.0  # px of master, about its middle, that the earlier touch left something of
SMEAR_SHARE, RESIDUE_SHARE = 0.08, 0.1  # of the touches


@dataclass(frozen=True)
class Smear:
    """How the finger slid when it was lifted."""

    length: float  # px
    angle: float  # rad, counter-clockwise as seen


@dataclass(frozen=True)
class Residue:
    """What an earlier touch of the finger left on the glass."""

    height: float  # of its crests over the sensor's threshold, half ridges: below 0, a faint trace
    turn: float  # rad, against this touch, counter-clockwise as seen
    shift: tuple[float, float]  # (x, y) px of master, the same


def sample_smear(rng: np.random.Generator) -> Smear | None:
    """None for most touches."""
    smear = Smear(float(rng.uniform(4, 14)), float(rng.uniform(0, np.pi)))
    return smear if rng.random() < SMEAR_SHARE else None


def sample_residue(rng: np.random.Generator) -> Residue | None:
    """None for most touches."""
    x, y = rng.normal(0, 50, 2)
    turn = float(rng.normal(0, 0.6))
    residue = Residue(float(rng.uniform(-1.6, -0.5)), turn, (float(x), float(y)))
    return residue if rng.random() < RESIDUE_SHARE else None


def smeared(skin: Image, smear: Smear, rng: np.random.Generator) -> Image:
    """Skin [H, W] drawn out along the slide, in patches: there ridges run into one another."""
    reach = int(np.ceil(smear.length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    along = smear.length / 2 * np.array([np.cos(smear.angle), -np.sin(smear.angle)])
    ends = np.rint((reach + np.array([-along, along])) * 16).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    where = np.clip(0.3 + 0.8 * smooth_noise(rng, skin.shape, 60), 0, 1)
    drawn = cv2.filter2D(skin, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(skin + where * (drawn - skin), np.float32)


def stained(
    skin: Image,
    ridges: Image,
    at: NDArray[np.float32],
    residue: Residue,
    rng: np.random.Generator,
) -> Image:
    """Skin [H, W] over the traces of an earlier touch, which show where they are higher.

    `ridges` is the master's, `at` [H, W, 2] where this touch shows it, (x, y) px of the master.
    """
    middle = (np.array(ridges.shape[::-1], np.float32) - 1) / 2
    x, y = np.moveaxis(at - middle, -1, 0)
    c, s = (np.float32(f(residue.turn)) for f in (np.cos, np.sin))
    x, y = c * x + s * y + residue.shift[0], c * y - s * x + residue.shift[1]
    beyond = np.maximum(np.hypot(x, y) / CONTACT - 1, 0)
    faded = residue.height - 1 - 4 * beyond + 0.4 * smooth_noise(rng, skin.shape, 25)
    crests = cv2.remap(
        ridges, x + middle[0], y + middle[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.maximum(skin, crests + faded), np.float32)
