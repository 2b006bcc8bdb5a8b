"""Are so many masters so many fingers? python tests/experiments/constellations.py 1000

Two fingers are compared by where their ridges end and fork, at every shift and at turns about the
middle: the share of the larger constellation that one shift brings near the other's minutiae.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

import click
import numpy as np

from pipeline.realism.minutiae import minutiae
from pipeline.synthesis.frame import MASTER_SIZE
from pipeline.synthesis.generate import synthesize_master
from shards.foundation.progress import Progress

CELL = 6  # px; minutiae that one shift brings within two cells of one another agree
REACH = 60  # px along x and y, of the shifts
TURNS = np.radians(np.arange(-9, 10, 2))
LOST, MOVED, TURNED = 0.2, 2.5, np.radians(2)  # of the same finger once more: between two TURNS
CELLS = 2 * REACH // CELL
MIDDLE = (np.array(MASTER_SIZE[::-1], np.float32) - 1) / 2


def constellation(master):
    """Endings and bifurcations (x, y) float32 [N, 2] of the whole master."""
    grey = np.clip(127 - 127 * master.ridges, 0, 255).astype(np.uint8)
    period = float(np.median(master.flow.period))
    found = minutiae(grey, np.ones(grey.shape, bool), period)[:2]
    return np.concatenate(found).astype(np.float32)


def shares(first, others):
    """[len(others)] how much of the larger constellation agrees at the best shift and turn."""
    points, counts = np.concatenate(others), [len(other) for other in others]
    order = np.argsort(points[:, 1])
    x, y = points[order].T
    owner = np.repeat(np.arange(len(others)), counts)[order]
    best = np.zeros(len(others))
    for turn in TURNS:
        at = np.concatenate([_cells(x, y, owner, place) for place in turned(first, turn)])
        votes = np.bincount(at, minlength=len(others) * CELLS**2).reshape(-1, CELLS, CELLS)
        down = votes[:, 1:] + votes[:, :-1]
        best = np.maximum(best, (down[:, :, 1:] + down[:, :, :-1]).max((1, 2)))
    return best / np.maximum(len(first), counts)


def _cells(x, y, owner, place):
    """The cells of the shifts that lead from one place to each point near it, owner by owner."""
    start, end = np.searchsorted(y, place[1] + np.float32([-REACH, REACH]))
    away = (x[start:end] - place[0] + REACH) / CELL
    near = (away >= 0) & (away < CELLS)
    down = (y[start:end][near] - place[1] + REACH) / CELL
    row = owner[start:end][near] * CELLS + np.minimum(down.astype(np.int64), CELLS - 1)
    return row * CELLS + away[near].astype(np.int64)


def turned(points, angle):
    """Points [N, 2] turned about the middle of the master by rad."""
    x, y = (points - MIDDLE).T
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.stack([c * x + s * y, c * y - s * x], -1) + MIDDLE


def once_more(points, rng):
    """The same finger as another extractor might see it in another impression."""
    kept = points[rng.random(len(points)) > LOST]
    moved = kept + rng.normal(0, MOVED, kept.shape) + rng.uniform(-40, 40, 2)
    return turned(moved, TURNED).astype(np.float32)


@click.command()
@click.argument("count", type=click.IntRange(2))
def main(count):
    """Grow COUNT masters and compare every two of them, and each with itself once more."""
    rng = np.random.default_rng(0)
    found, others = [], np.zeros(0)
    with Progress("grow and compare", count, "masters") as progress:
        for k in range(count):
            one = constellation(synthesize_master(1, "synthetic/many", k))
            others = np.concatenate([others, shares(one, found) if found else []])
            found.append(one)
            progress.advance(most=others.max(initial=0))
    sizes = [len(one) for one in found]
    same = [shares(one, [once_more(one, rng)])[0] for one in found]
    click.echo(
        f"{count} masters of {min(sizes)} to {max(sizes)} minutiae (median {np.median(sizes):.0f})"
    )
    for name, values in ((f"{len(others):,} pairs of two", others), ("the same once more", same)):
        levels = np.quantile(values, [0, 0.01, 0.5, 0.99, 0.999, 1])
        click.echo(
            f"{name}: least, 1 %, median, 99 %, 99.9 %, most "
            + ", ".join(f"{v:.2f}" for v in levels)
        )


if __name__ == "__main__":
    main()
