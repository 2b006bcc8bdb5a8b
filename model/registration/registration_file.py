"""Read the .npz files that `Registration.save` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.registration.distortion import DenseMap
from model.registration.result import Registration
from pipeline.imaging.file import DEFAULT as IMAGE_FILE
from pipeline.imaging.resolution import DEFAULT as RESOLUTION
from pipeline.imaging.resolution import ImageResolution
from shards.foundation import npz_file
from shards.foundation.errors import Fault
from shards.foundation.npz_file import DEFAULT, NpzParameters

# Array → its dtype's kind and its shape; None for any extent
ARRAYS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "map_ab": ("f", (None, None, 2)),
    "sigma": ("f", (None, None)),
    "score": ("f", ()),
    "matches": ("f", (None, 5)),
    "angle_degrees": ("f", ()),
    "opposite_polarity": ("b", ()),
    "calibrated": ("b", ()),
    "shape_b": ("i", (2,)),
    "ppi_a": ("f", ()),
    "ppi_b": ("f", ()),
    "ppi_a_source": ("U", ()),
    "ppi_b_source": ("U", ()),
}


def load(path: Path, parameters: NpzParameters = DEFAULT) -> Registration:
    """Read a registration.

    Args:
        path: the .npz file.
        parameters: limits of its size.

    Raises:
        Misuse: there is no such file.
        Fault: the file is damaged, or is not a registration of this version.
    """
    arrays = _load_arrays(path, list(ARRAYS), parameters)
    map_ab, sigma = _positions(arrays["map_ab"]), np.asarray(arrays["sigma"], np.float32)
    shape_a, shape_b = map_ab.shape[:2], tuple(arrays["shape_b"].tolist())
    if sigma.shape != shape_a:
        raise Fault(f"{path}: sigma is {list(sigma.shape)}; expected {list(shape_a)}, as map_ab")
    for name, shape in (("map_ab", shape_a), ("shape_b", shape_b)):
        if not 1 <= min(shape) <= max(shape) <= IMAGE_FILE.side_range[1]:
            raise Fault(f"{path}: {name} is {list(shape)}; expected the size of an image")
    score = float(arrays["score"])
    if not 0 <= score <= 1:
        raise Fault(f"{path}: score is {score}; expected a probability")
    return Registration(
        map_ab=map_ab,
        score=score,
        matches=np.asarray(arrays["matches"], np.float32),
        angle=float(np.radians(arrays["angle_degrees"])),
        resolutions=(_resolution(path, arrays, "ppi_a"), _resolution(path, arrays, "ppi_b")),
        shape_b=shape_b,
        sigma=sigma if np.isfinite(sigma).any() else None,
        opposite_polarity=bool(arrays["opposite_polarity"]),
        calibrated=bool(arrays["calibrated"]),
    )


def load_map(path: Path, parameters: NpzParameters = DEFAULT) -> tuple[DenseMap, float]:
    """Read `map_ab` and `score` alone, which any tool can write; errors as `load`.

    Both are real numbers of any type, and the score may be an array of one number.
    """
    arrays = npz_file.read(path, "map", ("map_ab", "score"), parameters)
    for name in ("map_ab", "score"):
        if name not in arrays:
            raise Fault(f"{path}: holds no array {name}; expected map_ab [H, W, 2] and score")
        if arrays[name].dtype.kind not in "fiub":
            raise Fault(f"{path}: {name} is {arrays[name].dtype}; expected real numbers")
    map_ab, score = arrays["map_ab"], arrays["score"]
    if map_ab.ndim != 3 or map_ab.shape[2] != 2:
        raise Fault(f"{path}: map_ab is {list(map_ab.shape)}; expected [H, W, 2]")
    if score.size != 1:
        raise Fault(f"{path}: score is {list(score.shape)}; expected one number")
    return _positions(map_ab), float(score.item())


def _load_arrays(path: Path, names: list[str], parameters: NpzParameters) -> dict[str, Any]:
    """Read arrays by these names, of the types and shapes of `ARRAYS`; errors as `load`."""
    arrays = npz_file.read(path, "registration", names, parameters)
    for name in names:
        if name not in arrays:
            raise Fault(f"{path}: holds no array {name}, as of another version; register again")
        _check_array(path, name, arrays[name], *ARRAYS[name])
    return arrays


def _positions(map_ab: NDArray[Any]) -> DenseMap:
    """Return a map as float32, NaN where a position can be in no image.

    An infinite or incomplete position would spoil its neighbours where the map is interpolated.
    """
    positions = map_ab.astype(np.float64)
    possible = np.abs(positions).max(-1, keepdims=True) <= IMAGE_FILE.side_range[1]
    return np.where(possible, positions, np.nan).astype(np.float32)


def _check_array(
    path: Path, name: str, array: Any, kind: str, shape: tuple[int | None, ...]
) -> None:
    """Raise a Fault where an array has another type or shape than `ARRAYS` says."""
    same = len(array.shape) == len(shape) and all(
        expected in (None, extent) for expected, extent in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind != kind or not same:
        extents = ["N" if extent is None else extent for extent in shape]
        raise Fault(
            f"{path}: {name} is {array.dtype} {list(array.shape)}; expected kind {kind!r} and"
            f" shape [{', '.join(map(str, extents))}]"
        )


def _resolution(path: Path, arrays: dict[str, Any], name: str) -> ImageResolution:
    """Return the resolution by its name; Fault where an image cannot have it."""
    ppi = float(arrays[name])
    if not RESOLUTION.accepts(ppi):
        raise Fault(f"{path}: {name} is {ppi:g}; {RESOLUTION.expected}")
    return ImageResolution(ppi, str(arrays[f"{name}_source"]))
