"""Sensors: from skin in contact to grey levels, in the manner of FVC's and of cards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.synthesis.impression import Placement
from pipeline.synthesis.orientation import Image, smooth_noise

WORDS = ("R. THUMB", "1. RIGHT INDEX", "L. MIDDLE", "RING", "10. L. LITTLE", "PLAIN", "R", "7")
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,  # a clerk's hand
)


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
    """Frustrated total reflection: skin that touches is dark, in speckles; the rest is white.

    The means and spreads are those that bring it nearest to FVC2002 DB1_B by the features of
    `pipeline.compare_classifier`.
    """
    size = skin.shape
    ink = expit((skin - 0.12) * _about(rng, 6.5, 0.15))
    tone = min(max(rng.normal(70, 38), -20), 150) - 15 * level + 7 * smooth_noise(rng, size, 3.5)
    speckle = min(_about(rng, 50, 0.6), 130) * _band(rng, size, 0.95)
    white = rng.uniform(258, 278)  # beyond what the converter can tell
    grey = white - (white - np.maximum(tone, -30) - speckle) * ink
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _about(rng, 0.88, 0.08))
    grey += rng.uniform(0, 0.5) * (grey - cv2.GaussianBlur(grey, (0, 0), 1.6))  # readers sharpen
    return grey + _about(rng, 1.6, 0.4) * rng.standard_normal(size, np.float32)


def _about(rng: np.random.Generator, middle: float, spread: float) -> float:
    """A positive number about `middle`, by a factor of which the logarithm deviates by `spread`."""
    return float(middle * np.exp(rng.normal(0, spread)))


def _band(rng: np.random.Generator, size: tuple[int, ...], scale: float) -> Image:
    """Normal noise [H, W] of mean 0 and deviation 1 between `scale` and 1.8 times as many px.

    Skin that touches does so in grains of their own size, not in clouds of all sizes.
    """
    fine = _blurred(rng, size, scale)
    band = fine - cv2.GaussianBlur(fine, (0, 0), 1.5 * scale)  # 1.8² - 1 = 1.5²
    return np.asarray(band / band.std(), np.float32)


def _blurred(rng: np.random.Generator, size: tuple[int, ...], scale: float) -> Image:
    """Normal noise [H, W] of mean 0 and deviation 1, white but for a blur of `scale` px.

    Unlike `smooth_noise` it has no lattice, which would show at this scale.
    """
    noise = cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), scale)
    return np.asarray(noise / noise.std(), np.float32)


def _capacitive(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Capacitance: ridges near black, valleys little darker than the shaded, striped ground.

    Every cell has its own gain, most of the ground's noise (3.9 of 4.6 grey levels in FVC2002
    DB3_B), which a ridge hides; values are fitted to that set as `_optical`'s are.
    """
    size = skin.shape
    near = cv2.GaussianBlur(expit(level + 3), (0, 0), 25)
    ground = rng.normal(139, 6) + 6 * smooth_noise(rng, size, 130) - rng.normal(40, 12) * near
    columns = rng.normal(0, 1.8, size[1]) + 1.7 * smooth_noise(rng, (1, size[1]), 9)[0]
    cells = 4.6 * rng.standard_normal(size, np.float32)
    ground = ground + columns.astype(np.float32) + cells
    rough = min(_about(rng, 0.35, 0.8), 0.8) * _blurred(rng, size, 0.58)
    ink = expit((skin - 0.06 + rough) * _about(rng, 5, 0.25))
    ink += rng.uniform(0.05, 0.2) * expit(1.5 * skin) * (1 - ink)  # capacitance falls gently
    tone = rng.normal(36.5, 4) + 8 * np.clip(-level, -1, 3)
    tone += min(_about(rng, 10, 0.9), 30) * _blurred(rng, size, 0.9)
    floor = rng.normal(27, 1.5)  # the converter's zero: no finger is darker
    grey = ground - (ground - np.maximum(tone, floor)) * ink
    return grey + 1.2 * rng.standard_normal(size, np.float32)


def _vignetted(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """A small lens over a red light: mid-grey ground that darkens to the corners, low contrast."""
    size = skin.shape
    light = _vignette(size, rng) * (1 + 0.03 * smooth_noise(rng, size, 120))
    touching = expit(level + 3)
    ground = rng.uniform(130, 215) - rng.uniform(-15, 30) * touching
    depth = rng.uniform(0.3, 0.7) * np.clip(1 + 0.25 * level, 0.45, 1.15)
    ink = expit(skin * rng.uniform(2.5, 6))
    grey = ground * light * (1 - depth * ink) + 4 * touching * smooth_noise(rng, size, 3)
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), rng.uniform(0.6, 1.0))
    return grey + rng.uniform(1, 3) * rng.standard_normal(size, np.float32)


def _vignette(size: tuple[int, ...], rng: np.random.Generator) -> Image:
    """Light [H, W] on the glass, 1 at its brightest and down to 0.3 in the corners."""
    y, x = np.ogrid[: size[0], : size[1]]
    across, down = rng.normal(0.5, 0.1, 2)
    far = (x / size[1] - across) ** 2 + (y / size[0] - down) ** 2
    return np.asarray(np.clip(1 - rng.uniform(0.3, 1.3) * far, 0.3, 1), np.float32)


def _thermal(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """A sweep over one warm line: sharp, grainy ridges; every line has its own gain and offset."""
    size = skin.shape
    rough = rng.uniform(0.25, 0.6) * rng.standard_normal(size, np.float32)
    rough += rng.uniform(0.2, 0.5) * smooth_noise(rng, size, 1.6)
    ink = expit((skin + rough) * rng.uniform(3, 6))
    drift = 0.12 * smooth_noise(rng, (size[0], 1), 60) + 0.05 * smooth_noise(rng, (size[0], 1), 5)
    lines = drift + 0.04 * rng.standard_normal((size[0], 1), np.float32)
    ground = rng.uniform(175, 235) * (1 + 0.35 * lines)
    ridge = rng.uniform(25, 80) - 12 * level + 10 * smooth_noise(rng, size, 20)
    grey = ground + (np.clip(ridge, 10, 150) - ground) * ink * np.clip(1 + lines, 0.5, 1)
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), rng.uniform(0.35, 0.6))
    return grey + rng.uniform(4, 9) * rng.standard_normal(size, np.float32)


def _ink(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """Ink on a card, scanned: too much of it or too little, fibres of the paper, a form's print."""
    size = skin.shape
    load = rng.normal(0.1, 0.45) + 0.25 * smooth_noise(rng, size, 60)
    fibres = 0.7 * smooth_noise(rng, size, 1.4) + 0.7 * smooth_noise(rng, size, 3.2)
    bare = rng.uniform(0.15, 0.7) * np.clip(1 - load, 0.4, 2)
    ink = expit((skin + np.clip(load, -0.8, 0.9) + bare * fibres) * rng.uniform(2.5, 5))
    paper = rng.uniform(185, 245) + rng.uniform(1, 5) * fibres + 4 * smooth_noise(rng, size, 90)
    black = rng.uniform(20, 95) - 25 * load + 12 * fibres
    grey = paper + (np.clip(black, 10, 170) - paper) * ink
    grey = np.where(_card(size, rng), np.minimum(grey, rng.uniform(40, 150)), grey)
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), rng.uniform(0.6, 1.1))
    return grey + rng.uniform(1, 4) * rng.standard_normal(size, np.float32)


def _card(size: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What is printed on a card [H, W]: up to two lines of its box, and up to two words."""
    drawn = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(3))):
        _line(drawn, rng)
        if rng.random() < 0.5:
            drawn = np.ascontiguousarray(drawn[::-1, ::-1])
    for _ in range(int(rng.integers(3))):
        _word(drawn, rng)
    return drawn > 0


def _line(drawn: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A line of the box along the left or the upper edge."""
    at, tilt = int(rng.uniform(4, 30)), int(rng.integers(-4, 5))
    height, width = drawn.shape
    down, across = ((at, 0), (at + tilt, height)), ((0, at), (width, at + tilt))
    start, end = down if rng.random() < 0.5 else across
    cv2.line(drawn, start, end, 1, int(rng.integers(1, 4)))


def _word(drawn: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A word near the upper or lower edge, one in twenty of them 60 px or more into the image."""
    word, font = rng.choice(WORDS), FONTS[int(rng.integers(len(FONTS)))]
    scale, weight = rng.uniform(0.4, 1.1), int(rng.integers(1, 3))  # capitals of 9 to 24 px
    (width, height), _ = cv2.getTextSize(word, font, scale, weight)
    inside = 3 + rng.exponential(20)
    y = inside + height if rng.random() < 0.5 else drawn.shape[0] - inside
    x = rng.uniform(-0.3 * width, drawn.shape[1] - 0.7 * width)  # may run over the frame
    cv2.putText(drawn, word, (int(x), int(y)), font, scale, 1, weight)


def _any(skin: Image, level: Image, rng: np.random.Generator) -> Image:
    """No sensor in particular: greys, softness, grain, shading and stripes all drawn at random."""
    size = skin.shape
    grain = rng.uniform(0, 0.5) * smooth_noise(rng, size, rng.uniform(1, 4))
    ink = expit((skin + grain) * rng.uniform(1.5, 6))
    shade = rng.uniform(0, 0.12) * smooth_noise(rng, size, rng.uniform(50, 200))
    shade = shade + rng.uniform(0, 0.04) * smooth_noise(rng, (1, size[1]), rng.uniform(1, 12))
    ground = rng.uniform(90, 250)
    ridge = np.clip(rng.uniform(0.1, 0.65) - rng.uniform(0, 0.15) * level, 0, 0.8)
    grey = (1 - (1 - ridge) * ink + shade).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.4, 1.4))
    grey = ground * np.clip(grey, 0, 1.3) ** np.exp(rng.normal(0, 0.3))
    noise = rng.uniform(0, 7) * rng.standard_normal(size, np.float32)
    return grey + noise + rng.uniform(0, 6) * smooth_noise(rng, size, rng.uniform(1.2, 3))


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
VIGNETTED = Style(  # as FVC2004 DB2
    "vignetted",
    Placement((364, 328), (120, 170), finger=10, contact=10, pressure=0.0),
    _vignetted,
)
THERMAL = Style(  # as FVC2004 DB3
    "thermal",
    Placement((480, 300), (112, 185), finger=5, contact=15, pressure=0.0),
    _thermal,
)
INK = Style(  # a plain print of NIST's cards
    "ink",
    Placement((440, 400), (135, 190), finger=5, contact=10, pressure=0.05),
    _ink,
)
ANY = Style(  # of no make: so that a network leans on no sensor's looks
    "any",
    Placement((400, 360), (122, 175), finger=10, contact=10, pressure=0.0),
    _any,
)
STYLES = (OPTICAL, CAPACITIVE, VIGNETTED, THERMAL, INK, ANY)
