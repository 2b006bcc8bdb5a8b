"""What the shards of a set are made of: the data part of a config."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PipelineSpec:
    """Every setting that the bytes of a shard set depend on, beside its source images.

    Defaults are the paper's (IFViT, arXiv 2404.08237, section on the dense registration data).
    """

    partitions: tuple[str, ...] = ()
    seed: int = 0
    crop: int = 288  # px at 500 ppi, the side of the foreground crop
    size: int = 128  # px, the side of a record's images
    grid: int = 32  # cells along a side of the ground truth
    rotation_range: tuple[float, float] = (-math.pi / 3, math.pi / 3)  # rad, after the corruption
    translation: float = 0.0  # px at 500 ppi, the largest shift along x and y; 0 is off
    elastic: float = 0.0  # px at 500 ppi, deviation of the control displacements; 0 is off
    different_impressions: bool = False  # pairs of two impressions too, where the truth is known
    pairs_per_shard: int = 1000
