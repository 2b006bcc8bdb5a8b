"""Read the .npz files that `Registration.save` writes."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.registration.distortion import DenseMap
from model.registration.result import Registration
from pipeline.imaging.file import DEFAULT as IMAGE_FILE
from pipeline.imaging.resolution import ImageResolution
from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

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

# What zipfile, zlib and numpy raise for a damaged file
DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class RegistrationFileParameters:
    """Limits of the files that are read."""

    # Bytes of all arrays, unpacked. Chosen: map and sigma of the largest image have three quarters
    # of it.
    largest: int = 1 << 30


DEFAULT = RegistrationFileParameters()


def load(path: Path, parameters: RegistrationFileParameters = DEFAULT) -> Registration:
    """Read a registration.

    Args:
        path: the .npz file.
        parameters: limits of its size.

    Raises:
        Misuse: there is no such file.
        Fault: the file is damaged, or is not a registration of this version.
    """
    arrays = _load_arrays(path, list(ARRAYS), parameters)
    if arrays["sigma"].shape != arrays["map_ab"].shape[:2]:
        raise Fault(
            f"{path}: sigma is {list(arrays['sigma'].shape)}; expected"
            f" {list(arrays['map_ab'].shape[:2])}, as map_ab"
        )
    height, width = arrays["shape_b"].tolist()
    if not 1 <= min(height, width) <= max(height, width) <= IMAGE_FILE.side_range[1]:
        raise Fault(f"{path}: shape_b is [{height}, {width}]; expected the size of an image")
    sigma = np.asarray(arrays["sigma"], np.float32)
    return Registration(
        map_ab=np.asarray(arrays["map_ab"], np.float32),
        score=float(arrays["score"]),
        matches=np.asarray(arrays["matches"], np.float32),
        angle=float(np.radians(arrays["angle_degrees"])),
        resolutions=(_resolution(arrays, "ppi_a"), _resolution(arrays, "ppi_b")),
        shape_b=(height, width),
        sigma=sigma if np.isfinite(sigma).any() else None,
        opposite_polarity=bool(arrays["opposite_polarity"]),
        calibrated=bool(arrays["calibrated"]),
    )


def load_map(
    path: Path, parameters: RegistrationFileParameters = DEFAULT
) -> tuple[DenseMap, float]:
    """Read `map_ab` and `score` alone, which any tool can write; errors as `load`."""
    arrays = _load_arrays(path, ["map_ab", "score"], parameters)
    return np.asarray(arrays["map_ab"], np.float32), float(arrays["score"])


def _load_arrays(
    path: Path, names: list[str], parameters: RegistrationFileParameters
) -> dict[str, Any]:
    """Read arrays by these names, of the types and shapes of `ARRAYS`; errors as `load`."""
    try:
        arrays = _read_arrays(path, parameters)
    except FileNotFoundError as error:
        raise Misuse(f"{path}: no such registration") from error
    except DAMAGE as error:
        raise Fault(f"{path}: cannot be read as a registration: {error}") from error
    for name in names:
        if name not in arrays:
            raise Fault(f"{path}: holds no array {name}, as of another version; register again")
        _check_array(path, name, arrays[name], *ARRAYS[name])
    return arrays


def _read_arrays(path: Path, parameters: RegistrationFileParameters) -> dict[str, Any]:
    """Return the arrays of `ARRAYS` that a file holds; ValueError where they are too large."""
    data = io.BytesIO(files.read_bytes(path, parameters.largest))
    with zipfile.ZipFile(data) as members:
        size = sum(member.file_size for member in members.infolist())
    if size > parameters.largest:
        raise ValueError(f"it unpacks to {size:,} bytes; expected at most {parameters.largest:,}")
    data.seek(0)
    with np.load(data, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ARRAYS if name in arrays.files}


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


def _resolution(arrays: dict[str, Any], name: str) -> ImageResolution:
    return ImageResolution(float(arrays[name]), str(arrays[f"{name}_source"]))
