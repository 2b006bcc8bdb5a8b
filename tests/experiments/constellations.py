"""Test whether masters are different fingers: python tests/experiments/constellations.py 1000

Two fingers are compared by the positions of their minutiae, at all shifts and at several rotations
about the middle. Their similarity is the largest share of the larger constellation that one shift
brings near minutiae of the other. Results: docs/LOG.md, 2026-11-23, "Minutiae as real fingers have
them".
"""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from pipeline.realism.minutiae import detect_minutiae
from pipeline.synthesis.frame import MASTER_MIDDLE
from pipeline.synthesis.generate import synthesize_master
from shards.foundation.progress import Progress


@dataclass(frozen=True)
class ConstellationParameters:
    """Numbers of the comparison; chosen. Lengths are px at 500 ppi."""

    cell: int = 6  # px; minutiae within two cells of one shift agree
    reach: int = 60  # px along x and y, largest shift
    rotations: tuple[int, ...] = tuple(range(-9, 10, 2))  # degrees
    # The same finger again, as another extractor finds it in another impression:
    lost_share: float = 0.2  # of the minutiae
    moved: float = 2.5  # px, deviation of the others
    shift: float = 40  # px along x and y, largest shift
    rotation: float = 2  # degrees: between two of the rotations above

    @property
    def cells(self) -> int:
        """Cells of the table of shifts along each axis."""
        return 2 * self.reach // self.cell


DEFAULT = ConstellationParameters()


def constellation(master):
    """Return the endings and bifurcations (x, y) float32 [N, 2] of a master."""
    grey = np.clip(127 - 127 * master.ridges, 0, 255).astype(np.uint8)
    period = float(np.median(master.flow.period))
    endings, bifurcations = detect_minutiae(grey, np.ones(grey.shape, bool), period)[:2]
    return np.concatenate([endings, bifurcations]).astype(np.float32)


def similarities(first, others):
    """Return the similarity [len(others)] of `first` with each of `others`, in [0, 1]."""
    points, counts = np.concatenate(others), [len(other) for other in others]
    order = np.argsort(points[:, 1])
    x, y = points[order].T
    owner = np.repeat(np.arange(len(others)), counts)[order]
    best, cells = np.zeros(len(others)), DEFAULT.cells
    for degrees in DEFAULT.rotations:
        rotated = rotate(first, np.radians(degrees))
        indices = np.concatenate([_shift_cells(x, y, owner, point) for point in rotated])
        votes = np.bincount(indices, minlength=len(others) * cells**2).reshape(-1, cells, cells)
        rows = votes[:, 1:] + votes[:, :-1]
        best = np.maximum(best, (rows[:, :, 1:] + rows[:, :, :-1]).max((1, 2)))
    return best / np.maximum(len(first), counts)


def _shift_cells(x, y, owner, point):
    """Return the flat indices (owner, dy, dx) of the shifts from `point` to the points nearby."""
    reach, cell, cells = DEFAULT.reach, DEFAULT.cell, DEFAULT.cells
    start, end = np.searchsorted(y, point[1] + np.float32([-reach, reach]))
    column = (x[start:end] - point[0] + reach) / cell
    inside = (column >= 0) & (column < cells)
    row = (y[start:end][inside] - point[1] + reach) / cell
    row = owner[start:end][inside] * cells + np.minimum(row.astype(np.int64), cells - 1)
    return row * cells + column[inside].astype(np.int64)


def rotate(points, angle):
    """Rotate points [N, 2] by `angle` rad about the middle of the master."""
    middle = np.array(MASTER_MIDDLE, np.float32)
    x, y = (points - middle).T
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.stack([c * x + s * y, c * y - s * x], -1) + middle


def sample_again(points, rng):
    """Sample the same finger as another extractor finds it in another impression."""
    remaining = points[rng.random(len(points)) > DEFAULT.lost_share]
    moved = remaining + rng.normal(0, DEFAULT.moved, remaining.shape)
    moved = moved + rng.uniform(-DEFAULT.shift, DEFAULT.shift, 2)
    return rotate(moved, np.radians(DEFAULT.rotation)).astype(np.float32)


@click.command()
@click.argument("count", type=click.IntRange(2))
def main(count):
    """Synthesize COUNT masters; compare every two of them, and each with itself sampled again."""
    rng = np.random.default_rng(0)
    constellations, different = [], np.zeros(0)
    with Progress("synthesize and compare", count, "masters") as progress:
        for k in range(count):
            points = constellation(synthesize_master(1, "synthetic/many", k))
            if constellations:
                different = np.concatenate([different, similarities(points, constellations)])
            constellations.append(points)
            progress.advance(most=different.max(initial=0))
    same = [similarities(points, [sample_again(points, rng)])[0] for points in constellations]
    sizes = [len(points) for points in constellations]
    click.echo(
        f"{count} masters of {min(sizes)} to {max(sizes)} minutiae (median {np.median(sizes):.0f})"
    )
    print_quantiles(f"{len(different):,} pairs of two fingers", different)
    print_quantiles("the same finger again", same)


def print_quantiles(name, values):
    """Print the distribution of similarities on one line."""
    levels = np.quantile(values, [0, 0.01, 0.5, 0.99, 0.999, 1])
    figures = ", ".join(f"{level:.2f}" for level in levels)
    click.echo(f"{name}: least, 1 %, median, 99 %, 99.9 %, most {figures}")


if __name__ == "__main__":
    main()
