"""What a record that decodes must mean: the checks of `verify --deep` on one pair."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from shards.record import Pair


def faults(
    pair: Pair, partition: str, spec: Mapping[str, Any], images: Collection[str] | None
) -> Iterator[str]:
    """All that contradicts itself in a pair of `partition`, or contradicts its set's manifest.

    spec: the manifest's; its size, grid and seed are held where it has them. images: the ids of
    the partition's images, None where they are not known.
    """
    yield from _shapes(pair, spec)
    yield from _identities(pair, partition, images)
    yield from _geometry(pair)
    if pair.genuine:
        yield from _map(pair)
    elif pair.visible.any() or not np.isnan(pair.map_ab).all():
        yield "is an impostor pair but has a map"


def _shapes(pair: Pair, spec: Mapping[str, Any]) -> Iterator[str]:
    height, width = pair.image_a.shape
    cells = len(pair.visible)
    found = {"size": height, "grid": cells, "seed": pair.seed}
    for key, value in found.items():
        if key in spec and spec[key] != value:
            yield f"has {key} {value}, the set's spec says {spec[key]!r:.40}"
    if height != width or height % cells:
        yield f"has images of {width} x {height} px, which {cells} x {cells} cells do not divide"
    for name, image in (("image_a", pair.image_a), ("image_b", pair.image_b)):
        if image.min() == image.max():
            yield f"has an {name} of one grey level, {image.max()}"


def _identities(pair: Pair, partition: str, images: Collection[str] | None) -> Iterator[str]:
    for image_id in dict.fromkeys((pair.image_id_a, pair.image_id_b)):
        if not image_id.startswith(partition + "/"):
            yield f"shows {image_id!r:.80}, which is not of {partition}"
        elif images is not None and image_id not in images:
            yield f"shows {image_id!r:.80}, which the manifest does not list"
    if (pair.finger_a == pair.finger_b) != pair.genuine:
        yield f"is {pair.kind} but shows {pair.finger_a!r:.60} and {pair.finger_b!r:.60}"
    if (pair.image_id_a == pair.image_id_b) != (pair.kind == "genuine"):
        yield f"is {pair.kind} but shows {pair.image_id_a!r:.60} and {pair.image_id_b!r:.60}"


def _geometry(pair: Pair) -> Iterator[str]:
    for name in ("to_original_a", "to_original_b"):
        matrix = getattr(pair, name)
        if not np.isfinite(matrix).all() or not 1e-3 < np.linalg.det(matrix[:, :2]) < 1e6:
            yield f"has a {name} that is no map to an image: {matrix.tolist()}"


def _map(pair: Pair) -> Iterator[str]:
    height, width = pair.image_b.shape
    known = np.isfinite(pair.map_ab).all(-1)
    wrong = ~np.where(pair.visible, known, np.isnan(pair.map_ab).all(-1))
    if wrong.any():
        yield f"has {int(wrong.sum())} cells whose map and visibility contradict"
        return
    if not known.any():
        yield "is a genuine pair of which nothing is visible"
    x, y = pair.map_ab[known].T
    outside = (x < -0.5) | (x >= width - 0.5) | (y < -0.5) | (y >= height - 0.5)
    if outside.any():
        yield f"maps {int(outside.sum())} visible cells outside of image B"
    if folded := _folds(pair):
        yield f"has a map that folds at {folded} cells"


def _folds(pair: Pair) -> int:
    """Cells whose map, with its right and lower neighbours, turns the plane over; NaN are none."""
    at = pair.map_ab.astype(np.float64)
    right, down = at[:-1, 1:] - at[:-1, :-1], at[1:, :-1] - at[:-1, :-1]
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    return int((area <= 0).sum())
