"""Ridge flow of a finger: its class, orientation field and ridge period.

Orientation is the zero-pole model of Sherlock and Monro (1993, "A model for interpreting
fingerprint topology"), in which every core adds half the angle under which it is seen and every
delta takes it away, with a smooth correction in the spirit of Vizcaya and Gerhardt (1996), here a
dome that bends the ridges round the fingertip and a random field, so that no two flow alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.noise import FloatImage as Image
from pipeline.synthesis.noise import smooth_noise

SIZE = (560, 416)  # (height, width) px of a master at 500 ppi
CLASSES = ("arch", "tented-arch", "left-loop", "right-loop", "whorl")
PROPORTIONS = (0.037, 0.029, 0.338, 0.317, 0.279)  # Wilson et al. 1994, as SFinGe uses them
PERIOD_RANGE = (6.5, 12.0)  # px at 500 ppi
DOUBLE_LOOPS = 0.2  # of the whorls


@dataclass(frozen=True)
class Flow:
    """Ridge flow over a master of H × W px."""

    label: str  # of CLASSES
    angle: Image  # [H, W] rad, tangent of the ridge, counter-clockwise as seen, modulo π
    period: Image  # [H, W] px from ridge to ridge
    cores: tuple[complex, ...]  # x + iy px, from the middle of the master, y up
    deltas: tuple[complex, ...]


def sample_class(rng: np.random.Generator) -> str:
    """One of CLASSES, in natural proportions."""
    return CLASSES[int(np.searchsorted(np.cumsum(PROPORTIONS), rng.random() * sum(PROPORTIONS)))]


def sample_flow(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Flow:
    """A random finger's flow over `size` (height, width) px."""
    label = sample_class(rng)
    cores, deltas = _singularities(label, rng)
    z = plane(size)
    angle = zero_pole(z, cores, deltas) + _correction(z, label, rng)
    if label.endswith("-loop"):
        angle += _upright(z, cores[0], deltas[0], rng)
    for core in cores:
        angle += _straight_legs(z, core, angle, reach=_reach(cores), amount=rng.uniform(0.35, 0.7))
    angle += np.float32(np.radians(rng.uniform(3, 7))) * smooth_noise(rng, size, 110)
    return Flow(label, angle.astype(np.float32), _period(z, rng), cores, deltas)


def zero_pole(
    z: NDArray[np.complex64], cores: tuple[complex, ...], deltas: tuple[complex, ...]
) -> Image:
    """Orientation rad [...] at points `z` (x + iy, y up): half the turn about each singularity."""
    turn = sum(np.angle(z - c) for c in cores) - sum(np.angle(z - d) for d in deltas)
    return np.asarray(turn / 2, np.float32) * np.ones(z.shape, np.float32)


def plane(size: tuple[int, int]) -> NDArray[np.complex64]:
    """Points x + iy px [H, W] from the middle of `size` (height, width), y up."""
    y, x = np.ogrid[: size[0], : size[1]]
    return ((x - (size[1] - 1) / 2) - 1j * (y - (size[0] - 1) / 2)).astype(np.complex64)


def _singularities(
    label: str, rng: np.random.Generator
) -> tuple[tuple[complex, ...], tuple[complex, ...]]:
    """Cores and deltas (x + iy px from the middle, y up), all off the pixel centres."""
    at = complex(*rng.normal((0.3, 25.3), (12, 14)))
    if label == "arch":
        return (), ()
    if label == "tented-arch":
        return (at - 15j,), (at + complex(rng.normal(0, 6), -rng.uniform(45, 85)),)
    if label == "whorl":
        return _whorl(at, rng)
    side = 1 if label == "left-loop" else -1
    return (at,), (at + complex(side * rng.uniform(65, 120), -rng.uniform(75, 140)),)


def _whorl(
    at: complex, rng: np.random.Generator
) -> tuple[tuple[complex, ...], tuple[complex, ...]]:
    """Two cores, nearly upright, or far apart and aslant in a double loop; a delta on each side."""
    double = rng.random() < DOUBLE_LOOPS
    apart = rng.uniform(45, 85) if double else rng.uniform(6, 45)
    slant = rng.choice([-1, 1]) * rng.uniform(0.5, 1.1) if double else rng.normal(0, 0.3)
    half = apart / 2 * np.exp(1j * (np.pi / 2 + slant))
    left = complex(-rng.uniform(75, 125), -rng.uniform(80, 135))
    right = complex(rng.uniform(75, 125), -rng.uniform(80, 135))
    middle = at - 10j
    return (middle + half, middle - half), (middle + left, middle + right)


def _correction(z: NDArray[np.complex64], label: str, rng: np.random.Generator) -> Image:
    """The dome over the fingertip and, in arches, the bump in the middle; rad [H, W]."""
    x, y = z.real - rng.normal(0, 8), z.imag
    rise = 1 / (1 + np.exp(-(y + rng.uniform(80, 130)) / rng.uniform(30, 50)))
    dome = rng.uniform(0.5, 0.8) * np.tanh(x / rng.uniform(70, 110)) * rise
    if label not in ("arch", "tented-arch"):
        return np.asarray(-dome, np.float32)
    width, height = rng.uniform(38, 60), rng.uniform(55, 85)
    bump = x / width * np.exp(0.5 - (x / width) ** 2 / 2)
    bump *= np.exp(-(((y + rng.uniform(-10, 40)) / height) ** 2) / 2)
    strength = rng.uniform(0.3, 0.7) if label == "arch" else rng.uniform(0.1, 0.3)
    return -dome - strength * bump


def _upright(
    z: NDArray[np.complex64], core: complex, delta: complex, rng: np.random.Generator
) -> Image:
    """A turn rad [H, W] about a loop's core, which the model alone lays too flat."""
    turn = np.sign((delta - core).real) * rng.uniform(0.0, 0.45)
    return turn * np.exp(-(np.abs(z - core + 20j) ** 2) / (2 * rng.uniform(60, 90) ** 2))


def _reach(cores: tuple[complex, ...]) -> float:
    return 90.0 if len(cores) == 1 else abs(cores[0] - cores[1])


def _straight_legs(
    z: NDArray[np.complex64], core: complex, angle: Image, reach: float, amount: float
) -> Image:
    """A turn rad [H, W] that lets the ridges bend over the core's top and run straight below it.

    The plain model's parabolas open so fast that ridges would fan out from the core.
    """
    away = z - core
    height, width = z.shape
    at = round((height - 1) / 2 - core.imag), round((width - 1) / 2 + core.real)
    top = 2 * (angle[at] - np.angle(away[at]) / 2) - np.pi  # where the flow is square to the ray
    turn = amount / 2 * np.sin(np.angle(away) - top)
    return np.asarray(turn * np.exp(-(np.abs(away) ** 2) / (2 * reach**2)), np.float32)


def _period(z: NDArray[np.complex64], rng: np.random.Generator) -> Image:
    """Ridge period px [H, W]: wider towards the joint, finer or wider in smooth patches."""
    base = np.clip(rng.normal(8.2, 0.7), 6.9, 10.2)
    joint = rng.uniform(0.05, 0.2) / (1 + np.exp((z.imag + 130) / 25))
    patches = rng.uniform(0.07, 0.13) * smooth_noise(rng, z.shape, 80)
    return np.clip(base * (1 + joint + patches), *PERIOD_RANGE).astype(np.float32)
