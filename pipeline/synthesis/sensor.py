"""Sensors: from skin in contact to grey levels, in the manner of two of FVC2002's."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.synthesis.orientation import Image, smooth_noise


@dataclass(frozen=True)
class Style:
    """A kind of sensor; `draw` turns the skin's height and pressure into an image."""

    name: str
    size: tuple[int, int]  # (height, width) px
    area: float  # of the contact region against the usual one


OPTICAL = Style("optical", (374, 388), 1.0)  # light ground, as FVC2002 DB1
CAPACITIVE = Style("capacitive", (300, 300), 0.85)  # mid-grey ground, as FVC2002 DB3
STYLES = (OPTICAL, CAPACITIVE)


def draw(style: Style, skin: Image, level: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The sensor's image uint8 [H, W], dark ridges, of `skin` [H, W] under `level` [H, W]."""
    grey = (_optical if style is OPTICAL else _capacitive)(skin, level, rng)
    return np.clip(np.rint(grey), 1, 254).astype(np.uint8)


def _optical(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Frustrated total reflection: skin that touches is dark, the rest saturates to white."""
    size = skin.shape
    ink = expit(skin * 4.0)
    tone = rng.uniform(20, 70) - 45 * level + 12 * smooth_noise(rng, size, 6)
    grey = 275 - (275 - np.clip(tone, -20, 130)) * ink
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), rng.uniform(0.55, 0.75))
    return grey + 3 * rng.standard_normal(size, np.float32)


def _capacitive(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Capacitance: ridges near black, valleys little darker than the shaded, striped ground."""
    size = skin.shape
    near = expit((level + 4) * 0.7)
    ground = (
        138
        + 6 * smooth_noise(rng, size, 150)
        - rng.uniform(25, 45) * cv2.GaussianBlur(near, (0, 0), 12)
    )
    stripes = (
        rng.normal(0, 2.0, size[1])
        + 3 * np.repeat(rng.normal(0, 1, size[1] // 6 + 1), 6)[: size[1]]
    )
    ground = ground + stripes.astype(np.float32)
    rough = skin + 0.25 * rng.standard_normal(size, np.float32)
    ink = expit(rough * 5.0)
    dust = (rng.random(size, np.float32) < 0.12 * np.exp(-(((level + 3.0) / 3) ** 2))) & (
        level < -0.5
    )
    ink = np.maximum(ink, dust * rng.uniform(0.3, 1.0, size).astype(np.float32))
    grey = ground - (ground - rng.uniform(24, 36)) * ink
    return grey + 3.5 * rng.standard_normal(size, np.float32)
