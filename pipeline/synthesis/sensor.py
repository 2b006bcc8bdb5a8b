"""Sensors: from skin in contact to grey levels, in the manner of two of FVC2002's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.synthesis.impression import Placement
from pipeline.synthesis.orientation import Image, smooth_noise


@dataclass(frozen=True)
class Style:
    """A kind of sensor and how fingers are laid on it."""

    name: str
    placement: Placement
    grey: Callable[[Image, Image, np.random.Generator], Image]


def draw(style: Style, skin: Image, level: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The sensor's image uint8 [H, W], dark ridges, of `skin` [H, W] under `level` [H, W]."""
    return np.clip(np.rint(style.grey(skin, level, rng)), 1, 254).astype(np.uint8)


def _optical(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Frustrated total reflection: skin that touches is dark, the rest saturates to white."""
    size = skin.shape
    ink = expit(skin * rng.uniform(3.5, 6))
    tone = rng.uniform(20, 100) - 75 * level + 15 * smooth_noise(rng, size, 4)
    grey = 285 - (285 - np.clip(tone, -20, 140)) * ink
    specks = (rng.random(size, np.float32) < 0.0002) * rng.uniform(0, 400)
    grey = cv2.GaussianBlur((grey - specks).astype(np.float32), (0, 0), rng.uniform(0.55, 0.75))
    return grey + 2 * rng.standard_normal(size, np.float32)


def _capacitive(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Capacitance: ridges near black, valleys little darker than the shaded, striped ground."""
    size = skin.shape
    near = cv2.GaussianBlur(expit(level + 3), (0, 0), 25)
    ground = rng.normal(125, 8) + 6 * smooth_noise(rng, size, 130) - rng.uniform(15, 40) * near
    columns = rng.normal(0, 1.5, size[1]) + 4 * smooth_noise(rng, (1, size[1]), 9)[0]
    ground = ground + columns.astype(np.float32)
    rough = rng.uniform(0.08, 0.3) * (
        rng.standard_normal(size, np.float32) + 1.5 * smooth_noise(rng, size, 1.5)
    )
    ink = expit((skin + rough) * 5)
    dust = expit((smooth_noise(rng, size, 1.2) - 1.6 - 0.12 * (level + 3) ** 2) * 6) * (level < -1)
    dark = rng.uniform(32, 46) + 12 * np.clip(-level, 0, 3) + 5 * smooth_noise(rng, size, 1.3)
    grey = ground - (ground - dark) * np.maximum(ink, 0.7 * dust)
    return grey + 4 * rng.standard_normal(size, np.float32)


OPTICAL = Style(  # as FVC2002 DB1
    "optical",
    Placement((374, 388), (127, 198), finger=5, contact=28, pressure=-0.1),
    _optical,
)
CAPACITIVE = Style(  # as FVC2002 DB3
    "capacitive",
    Placement((300, 300), (114, 127), finger=45, contact=0, pressure=0.05),
    _capacitive,
)
STYLES = (OPTICAL, CAPACITIVE)
