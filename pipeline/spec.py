"""The settings that the bytes of a shard set depend on: the pipeline part of a config."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Groups of persons that a config may hold out; OTHERS of `pipeline.split` always are.
HELD_OUT = ("fvc2002", "sd300", "sd301a", "sd302", "synthetic")
HELD_OUT_PARTS = ("fvc2002/a", "fvc2002/b")  # parts of groups that can be held out alone


@dataclass(frozen=True)
class SpecLimits:
    """Largest permitted settings; each `*_range` is (lowest, highest)."""

    crop_range: tuple[int, int] = (16, 4096)  # px; chosen: far beyond any finger at 500 ppi
    stretch_range: tuple[float, float] = (0.0, 0.2)  # of a logarithm; chosen: skin stretches less
    different_impressions_range: tuple[int, int] = (0, 7)  # FVC has 8 impressions per finger
    fingers_range: tuple[int, int] = (0, 99_999)  # five digits in a file name
    impressions_range: tuple[int, int] = (1, 1000)  # per finger; chosen
    seed_range: tuple[int, int] = (0, 2**63 - 1)  # 64 bits in a record


LIMITS = SpecLimits()


@dataclass(frozen=True)
class PipelineSpec:
    """Every setting that the bytes of a shard set depend on, except the source images.

    The defaults are those of IFViT (arXiv 2404.08237, section on the dense registration data).
    """

    partitions: tuple[str, ...] = ()
    held_out: tuple[str, ...] = HELD_OUT  # groups whose persons validate and test (pipeline.split)
    limits: tuple[tuple[str, int], ...] = ()  # (data set, training images per partition)
    seed: int = 0  # of all random choices
    crop: int = 288  # px at 500 ppi, side of the crop
    size: int = 128  # px, side of a record's images
    grid: int = 32  # G, cells per side of the ground truth
    rotation_range: tuple[float, float] = (-math.pi / 3, math.pi / 3)  # rad, of image B
    translation: float = 0.0  # px at 500 ppi, largest shift of B along x and along y
    elastic: float = 0.0  # px at 500 ppi, standard deviation of the control points' displacements
    # Standard deviation of the logarithm of B's stretch (pipeline.pair_geometry)
    stretch: float = 0.0
    different_impressions: int = 0  # genuine pairs per image with other impressions of its finger
    pairs_per_shard: int = 1000  # approximate
    fingers: int = 0  # to synthesize per synthetic partition; 0: the images are read from files
    impressions: int = 6  # per synthesized finger
    finger_seed: int = 0  # of the synthesized fingers

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            ValueError: a setting is out of range, or names an unknown group or data set.
        """
        groups = (*HELD_OUT, *HELD_OUT_PARTS)
        for name in self.held_out:
            if name not in groups:
                raise ValueError(f"held_out: {name} is not one of {', '.join(groups)}")
        for name, images in self.limits:
            if name not in HELD_OUT or images < 1:
                raise ValueError(f"limits: expected (data set, images > 0), got {name}, {images}")
        for name, is_valid in self._checks().items():
            if not is_valid:
                raise ValueError(f"{name}: {getattr(self, name)} is out of range")

    def _checks(self) -> dict[str, bool]:
        """Return for each number or range whether it is valid."""
        smallest, largest = LIMITS.crop_range
        low, high = self.rotation_range
        return {
            "seed": _within(self.seed, LIMITS.seed_range),
            "crop": self.size <= self.crop <= largest and self.crop % 2 == 0,
            "size": smallest <= self.size <= largest,
            "grid": self.grid >= 1 and self.size % self.grid == 0,
            "rotation_range": -math.pi <= low <= high <= math.pi,
            "translation": 0 <= self.translation <= self.crop,
            "elastic": 0 <= self.elastic <= self.crop,
            "stretch": _within(self.stretch, LIMITS.stretch_range),
            "different_impressions": _within(
                self.different_impressions, LIMITS.different_impressions_range
            ),
            "pairs_per_shard": self.pairs_per_shard >= 1,
            "fingers": _within(self.fingers, LIMITS.fingers_range),
            "impressions": _within(self.impressions, LIMITS.impressions_range),
            "finger_seed": _within(self.finger_seed, LIMITS.seed_range),
        }


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
