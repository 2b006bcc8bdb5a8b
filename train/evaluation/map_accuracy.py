"""Accuracy of the dense maps of any method, by true maps or by reference minutiae."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network import metrics
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import Array, scaling
from shards.foundation.errors import Misuse
from train.evaluation import reference_minutiae
from train.evaluation.averages import mean, median
from train.evaluation.file_methods import at_500_ppi, sample_map

Map = NDArray[np.floating[Any]]  # [H_a, W_a, 2], as `map_ab` of a registration


@dataclass(frozen=True)
class MapAccuracyParameters:
    """How maps are compared with true ones."""

    # px between the pixels that are compared, along both axes. Chosen: half a ridge period.
    step: int = 4


DEFAULT = MapAccuracyParameters()


def by_truth(
    maps: Sequence[Map],
    truth: Sequence[Map],
    ppi_b: float | Sequence[float] = WORKING_PPI,
    parameters: MapAccuracyParameters = DEFAULT,
) -> dict[str, float]:
    """Compare the maps of P pairs with the true ones.

    Args:
        maps: of each pair, NaN where the method finds no correspondence.
        truth: true map of each pair, NaN where there is no correspondence.
        ppi_b: resolution of the images B, of all or of each.
        parameters: see `MapAccuracyParameters`.

    Returns:
        "pairs"; "coverage", the share of the pixels with a correspondence that have a map;
        "epe_median" and "epe_mean", the end-point error where there is a map, px at 500 ppi; and
        "pck@2", "pck@4" and "pck@8", the share within so many px, where a pixel without a map is
        wrong. NaN where a metric is undefined.

    Raises:
        Misuse: the numbers of pairs, or the sizes of two maps, differ, or a resolution is not
            positive.
    """
    _check_pairs(maps, truth, "truth")
    resolutions = _resolutions("ppi_b", ppi_b, len(maps))
    errors = [
        _errors(map_ab, true_map, parameters.step) * WORKING_PPI / ppi
        for map_ab, true_map, ppi in zip(maps, truth, resolutions, strict=True)
    ]
    error = np.concatenate([np.zeros(0), *errors])
    mapped = error[np.isfinite(error)]
    distances = metrics.DEFAULT.pck_distances
    return {
        "pairs": len(maps),
        "coverage": mean(np.isfinite(error)),
        "epe_median": median(mapped),
        "epe_mean": mean(mapped),
        **{f"pck@{distance}": mean(error <= distance) for distance in distances},
    }


def by_minutiae(
    maps: Sequence[Map],
    minutiae: Sequence[tuple[Array, Array]],
    ppi_a: float | Sequence[float] = WORKING_PPI,
    ppi_b: float | Sequence[float] = WORKING_PPI,
) -> dict[str, float]:
    """Measure the maps of P genuine pairs by reference minutiae.

    Args:
        maps: of each pair.
        minutiae: of A [N, 4] and of B [M, 4] of each pair (`train.evaluation.reference_minutiae`),
            px of the images.
        ppi_a, ppi_b: resolution of the images A and B, of all or of each.

    Returns:
        "pairs"; "confirmed", the mean share of the minutiae that the map confirms; "oracle", that
        of the rigid oracle; "aligned", the share of aligned pairs; "residual", the median distance
        of confirmed minutiae, px at 500 ppi. NaN where a metric is undefined.

    Raises:
        Misuse: the numbers of pairs differ, maps or minutiae have another shape, or a resolution is
            not positive.
    """
    _check_pairs(maps, minutiae, "minutiae")
    stated = (("ppi_a", ppi_a), ("ppi_b", ppi_b))
    resolutions = np.stack([_resolutions(name, ppi, len(maps)) for name, ppi in stated], -1)
    confirmed, oracle, distances = [], [], [np.zeros(0)]
    for map_ab, pair, ppi in zip(maps, minutiae, resolutions, strict=True):
        if np.ndim(map_ab) != 3 or np.shape(map_ab)[-1] != 2:
            raise Misuse(f"a map is an array {list(np.shape(map_ab))}; expected [H, W, 2]")
        if len(pair) != 2:
            raise Misuse(f"minutiae of {len(pair)} images; expected of A and of B")
        to_file_a, to_file_b = (scaling(WORKING_PPI / resolution) for resolution in ppi)
        a = reference_minutiae.at_500_ppi(_as_minutiae(pair[0]), to_file_a)
        b = reference_minutiae.at_500_ppi(_as_minutiae(pair[1]), to_file_b)
        in_file = functools.partial(sample_map, np.asarray(map_ab, np.float32))
        point_map = at_500_ppi(in_file, to_file_a, to_file_b)
        distances.append(reference_minutiae.distances(a, b, point_map))
        confirmed.append(reference_minutiae.share(len(distances[-1]), a, b))
        oracle.append(reference_minutiae.rigid_oracle(a, b)[0])
    aligned = np.array(list(map(reference_minutiae.is_aligned, confirmed, oracle)), bool)
    residuals = np.concatenate(distances)
    return {
        "pairs": len(maps),
        "confirmed": mean(np.array(confirmed)),
        "oracle": mean(np.array(oracle)),
        "aligned": mean(aligned),
        "residual": median(residuals),
    }


def _errors(map_ab: Map, truth: Map, step: int) -> NDArray[np.float64]:
    """Return the distances [K] of a map from the true one where this exists; inf without map."""
    map_ab, truth = np.asarray(map_ab), np.asarray(truth)
    if map_ab.ndim != 3 or map_ab.shape[-1] != 2 or map_ab.shape != truth.shape:
        shapes = f"{list(map_ab.shape)} and {list(truth.shape)}"
        raise Misuse(f"a map and its truth are arrays {shapes}; expected both [H, W, 2]")
    offset = (map_ab[::step, ::step].astype(np.float64) - truth[::step, ::step]).reshape(-1, 2)
    true = np.isfinite(truth[::step, ::step]).all(-1).ravel()
    return np.nan_to_num(np.hypot(*offset[true].T), nan=np.inf)


def _resolutions(name: str, stated: float | Sequence[float], pairs: int) -> NDArray[np.float64]:
    """Return a resolution for each pair [P]; Misuse, with its name, for another number of them."""
    ppi = np.asarray(stated, np.float64)
    if ppi.shape not in ((), (pairs,)) or not (ppi > 0).all():
        raise Misuse(f"{name} is {stated}; expected one positive number, or one for each pair")
    return np.broadcast_to(ppi, pairs)


def _as_minutiae(minutiae: Any) -> Array:
    """Return minutiae as float64 [N, 3 or more]; Misuse for another shape."""
    array = np.asarray(minutiae, np.float64)
    if array.ndim != 2 or array.shape[1] < 3:
        raise Misuse(f"minutiae are an array {list(array.shape)}; expected [N, 4] x, y, direction")
    return array


def _check_pairs(maps: Sequence[Any], others: Sequence[Any], name: str) -> None:
    for what, values in (("maps", maps), (name, others)):
        if not hasattr(values, "__len__"):
            raise Misuse(f"{what} are a {type(values).__name__}; expected a list of one per pair")
    if len(maps) != len(others):
        raise Misuse(f"{len(maps)} maps, but {name} of {len(others)} pairs; expected as many")
