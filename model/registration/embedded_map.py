"""A map sub-sampled for a page, where a script interpolates it linearly between nodes."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.registration.distortion import TO_COMPLEX, DenseMap, NearestSimilarity


@dataclass(frozen=True)
class EmbeddedMapParameters:
    """Density and precision of the nodes. All are chosen."""

    step: int = 4  # px of A between nodes: less than half a ridge period
    most_nodes: int = 512  # along a side; they lie further apart in larger images
    levels: int = 65_535  # of a coordinate: 0.01 px in an image of 655 px


DEFAULT = EmbeddedMapParameters()


def embed_map(
    map_ab: DenseMap,
    similarity: NearestSimilarity,
    sigma: NDArray[np.float32] | None = None,
    parameters: EmbeddedMapParameters = DEFAULT,
) -> dict[str, Any]:
    """Return the nodes of a map as JSON values.

    Nodes outside of the mapped region continue the map by the nearest similarity transform, so that
    each mapped pixel lies between four nodes. Which pixels are mapped is not part of the result.

    Args:
        map_ab: of A, with at least two mapped pixels.
        similarity: the nearest one.
        sigma: float32 [H_a, W_a], px, standard deviation of the map; None where it is not known.
        parameters: see `EmbeddedMapParameters`.

    Returns:
        "step" (px of A between nodes), "rows", "columns"; "low" (least x, least y) and "unit" (px
        per level); "nodes", base64 of little-endian uint16 [rows, columns, 2], the levels of
        (x, y); "sigma", base64 of little-endian float32 [rows, columns], or None.
    """
    height, width = map_ab.shape[:2]
    step = max(parameters.step, math.ceil(max(height, width) / parameters.most_nodes))
    rows, columns = math.ceil((height - 1) / step) + 1, math.ceil((width - 1) / step) + 1
    nodes, nearest = _continued_nodes(map_ab, similarity, step, (rows, columns))
    low = nodes.min((0, 1))
    unit = max(float((nodes - low).max()) / parameters.levels, 1e-6)
    levels = np.rint((nodes - low) / unit).astype("<u2")
    return {
        "step": step,
        "rows": rows,
        "columns": columns,
        "low": low.tolist(),
        "unit": unit,
        "nodes": _encode(levels),
        "sigma": None if sigma is None else _encode(sigma[nearest].astype("<f4")),
    }


def _continued_nodes(
    map_ab: DenseMap, similarity: NearestSimilarity, step: int, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the map at all nodes [rows, columns, 2], and the mapped pixel that each is from."""
    y, x = np.minimum(np.indices(shape) * step, np.reshape(map_ab.shape[:2], (2, 1, 1)) - 1)
    unmapped = ~np.isfinite(map_ab[y, x, 0])
    if unmapped.all():  # less is mapped than the step: from the first mapped pixel
        first_y, first_x = np.argwhere(np.isfinite(map_ab[..., 0]))[0]
        y, x = np.full(shape, first_y), np.full(shape, first_x)
    else:
        row, column = ndimage.distance_transform_edt(
            unmapped, return_distances=False, return_indices=True
        )
        y, x = y[row, column], x[row, column]
    node_y, node_x = np.indices(shape) * step
    mapped = map_ab[y, x] @ TO_COMPLEX
    mapped = mapped + similarity.turn((node_x - x) + 1j * (node_y - y))
    return np.stack([mapped.real, mapped.imag], -1), (y, x)


def _encode(array: NDArray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
