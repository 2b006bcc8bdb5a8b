"""Check the meaning of one decoded record: shapes, identities, geometry, map."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shards.record import Pair


@dataclass(frozen=True)
class RecordParameters:
    """Limits of plausible records."""

    # px² of the original per px² of the crop; chosen: only degenerate maps are outside
    determinant_range: tuple[float, float] = (1e-3, 1e6)


DEFAULT = RecordParameters()


def check_pair(
    pair: Pair, partition: str, spec: Mapping[str, Any], images: Collection[str] | None
) -> Iterator[str]:
    """Check a pair by itself and against the manifest of its set.

    Args:
        pair: the pair.
        partition: name of its partition.
        spec: the manifest's spec; its size, grid and seed are compared where it has them.
        images: ids of the partition's images; None where the list is damaged.

    Yields:
        Messages, each of which continues "record N ".
    """
    yield from _check_shapes(pair, spec)
    yield from _check_identities(pair, partition, images)
    yield from check_affine_maps(pair)
    if pair.genuine:
        yield from _check_map(pair)
    elif pair.visible.any() or not np.isnan(pair.map_ab).all():
        yield "is an impostor pair but has a map"


def _check_shapes(pair: Pair, spec: Mapping[str, Any]) -> Iterator[str]:
    height, width = pair.image_a.shape
    cells = len(pair.visible)
    for key, value in {"size": height, "grid": cells, "seed": pair.seed}.items():
        if key in spec and spec[key] != value:
            yield f"has {key} {value}, expected {spec[key]!r:.40} by the set's spec"
    if height != width or height % cells:
        yield f"has images of {width} x {height} px, which {cells} x {cells} cells do not divide"
    for name, image in (("image_a", pair.image_a), ("image_b", pair.image_b)):
        if image.min() == image.max():
            yield f"has an {name} of one grey level, {image.max()}"


def _check_identities(pair: Pair, partition: str, images: Collection[str] | None) -> Iterator[str]:
    for image_id in dict.fromkeys((pair.image_id_a, pair.image_id_b)):
        if not image_id.startswith(partition + "/"):
            yield f"shows {image_id!r:.80}, which is not of {partition}"
        elif images is not None and image_id not in images:
            yield f"shows {image_id!r:.80}, which the manifest does not list"
    if (pair.finger_a == pair.finger_b) != pair.genuine:
        yield f"is {pair.kind} but shows {pair.finger_a!r:.60} and {pair.finger_b!r:.60}"
    if (pair.image_id_a == pair.image_id_b) != (pair.kind == "genuine"):
        yield f"is {pair.kind} but shows {pair.image_id_a!r:.60} and {pair.image_id_b!r:.60}"


def check_affine_maps(pair: Pair, parameters: RecordParameters = DEFAULT) -> Iterator[str]:
    """Yield a message for each transform of a pair that is not finite or hardly invertible."""
    low, high = parameters.determinant_range
    for name in ("to_original_a", "to_original_b"):
        matrix = getattr(pair, name)
        if not np.isfinite(matrix).all() or not low < np.linalg.det(matrix[:, :2]) < high:
            yield f"has a {name} that is not a map to an image: {matrix.tolist()}"


def _check_map(pair: Pair) -> Iterator[str]:
    height, width = pair.image_b.shape
    mapped = np.isfinite(pair.map_ab).all(-1)
    contradicting = ~np.where(pair.visible, mapped, np.isnan(pair.map_ab).all(-1))
    if contradicting.any():
        yield f"has {int(contradicting.sum())} cells whose map and visibility contradict"
        return
    if not mapped.any():
        yield "is a genuine pair of which nothing is visible"
    x, y = pair.map_ab[mapped].T
    outside = (x < -0.5) | (x >= width - 0.5) | (y < -0.5) | (y >= height - 0.5)
    if outside.any():
        yield f"maps {int(outside.sum())} visible cells outside of image B"
    if folded := _count_folds(pair):
        yield f"has a map that folds at {folded} cells"


def _count_folds(pair: Pair) -> int:
    """Count the cells whose map reverses the orientation of their right and lower neighbours.

    Cells next to NaN do not count.
    """
    positions = pair.map_ab.astype(np.float64)
    right = positions[:-1, 1:] - positions[:-1, :-1]
    down = positions[1:, :-1] - positions[:-1, :-1]
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    return int((area <= 0).sum())
