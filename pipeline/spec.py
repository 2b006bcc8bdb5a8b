"""What the shards of a set are made of: the data part of a config."""

from __future__ import annotations

import math
from dataclasses import dataclass

HELD_OUT = ("fvc2002", "sd300", "sd301a", "sd302", "synthetic")  # all groups of persons
MOST_STRETCH = 0.2  # of a deviation, beyond which no skin goes
MOST_IMPRESSIONS = 7  # partners of an image: FVC has 8 impressions of a finger
MOST_FINGERS, MOST_TOUCHES = 99_999, 1000  # that are drawn, and of each of them


@dataclass(frozen=True)
class PipelineSpec:
    """Every setting that the bytes of a shard set depend on, beside its source images.

    Defaults are the paper's (IFViT, arXiv 2404.08237, section on the dense registration data).
    """

    partitions: tuple[str, ...] = ()
    held_out: tuple[str, ...] = HELD_OUT  # groups whose persons validate and test (pipeline.split)
    limits: tuple[tuple[str, int], ...] = ()  # (data set, training images of each partition)
    seed: int = 0
    crop: int = 288  # px at 500 ppi, the side of the foreground crop
    size: int = 128  # px, the side of a record's images
    grid: int = 32  # cells along a side of the ground truth
    rotation_range: tuple[float, float] = (-math.pi / 3, math.pi / 3)  # rad, after the corruption
    translation: float = 0.0  # px at 500 ppi, the largest shift along x and y; 0 is off
    elastic: float = 0.0  # px at 500 ppi, deviation of the control displacements; 0 is off
    stretch: float = 0.0  # deviation of the logarithm of B's stretch, of one way against the other
    different_impressions: int = 0  # pairs of an image with others of its finger, of known truth
    pairs_per_shard: int = 1000
    fingers: int = 0  # of each synthetic partition, drawn as it is built; 0: it lies in files
    impressions: int = 6  # of each finger drawn
    finger_seed: int = 0  # of the fingers drawn

    def __post_init__(self) -> None:
        """Refuse a group of persons that does not exist: it would hold out nobody in silence."""
        known = (*HELD_OUT, "fvc2002/a", "fvc2002/b")
        for name in self.held_out:
            if name not in known:
                raise ValueError(f"held_out: {name} is not one of {', '.join(known)}")
        for name, images in self.limits:
            if name not in HELD_OUT or images < 1:
                raise ValueError(f"limits: expected (data set, images > 0), found {name}, {images}")
        low, high = self.rotation_range
        wrong = {
            "seed": not 0 <= self.seed < 2**63,
            "crop": not self.size <= self.crop <= 4096 or self.crop % 2,
            "size": not 16 <= self.size <= 4096,
            "grid": self.grid < 1 or self.size % self.grid,
            "rotation_range": not -math.pi <= low <= high <= math.pi,
            "translation": not 0 <= self.translation <= self.crop,
            "elastic": not 0 <= self.elastic <= self.crop,
            "stretch": not 0 <= self.stretch <= MOST_STRETCH,
            "different_impressions": not 0 <= self.different_impressions <= MOST_IMPRESSIONS,
            "pairs_per_shard": self.pairs_per_shard < 1,
            "fingers": not 0 <= self.fingers <= MOST_FINGERS,
            "impressions": not 1 <= self.impressions <= MOST_TOUCHES,
            "finger_seed": not 0 <= self.finger_seed < 2**63,
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise ValueError(f"{name}: {getattr(self, name)} is out of range")
