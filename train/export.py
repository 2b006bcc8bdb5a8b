"""Export of trained parameters to one file, which is all that a matcher needs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import save as serialise

from model.network import weights
from shards.foundation import files
from shards.foundation.errors import Misuse
from train import checkpoint

FILE = "dense_reg_ckpt.safetensors"
ALIGNMENT = 8  # bytes, of the first parameter; by the safetensors format

Arrays = dict[str, np.ndarray]  # "backbone.stem.kernel" → float32


def save(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """Write parameters as .safetensors or, for scripts that expect a pickle, as .pkl; atomically.

    A .pkl holds {"params": {name: array}} and the metadata, parsed from its JSON, as builtin
    containers and numpy arrays. The project only writes pickles: reading one runs its code.

    Args:
        path: File to write; its ending selects the format.
        arrays: Parameters by dotted name, float32.
        metadata: From `model.network.weights.metadata`.

    Raises:
        Misuse: Another ending.
        Fault: The file cannot be written.
    """
    writers: dict[str, Callable[..., None]] = {".safetensors": _save_tensors, ".pkl": _save_pickle}
    if path.suffix not in writers:
        raise Misuse(f"{path}: the name must end in {' or '.join(writers)}")
    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
    _replace(path, lambda temporary: writers[path.suffix](contiguous, temporary, metadata))


def add_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Add metadata to a .safetensors; the bytes of its parameters do not change."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] |= metadata
    _replace(path, lambda temporary: temporary.write_bytes(_header_bytes(header) + data[start:]))


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Load parameters and metadata.

    Args:
        path: A .safetensors, a run's folder (its latest checkpoint) or a checkpoint's folder.

    Returns:
        Parameters by dotted name, and metadata as in `save`.
    """
    if path.is_file():
        stored = weights.load(path)
        tensors = weights.tensors(nnx.state(stored.net))
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        return arrays, weights.metadata(stored.net.config, stored.geometry, stored.curves)
    folder = checkpoint.find(path, str(path)) or path
    return checkpoint.load_parameters(folder), checkpoint.load_meta(folder)["export"]


def _save_tensors(arrays: Arrays, path: Path, metadata: dict[str, str]) -> None:
    """Write a .safetensors with a sorted header: the library writes it in a random order."""
    data = serialise(arrays, metadata)
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(_header_bytes(json.loads(data[8:start])) + data[start:])


def _header_bytes(header: dict[str, Any]) -> bytes:
    """The bytes before the parameters: length of the header, and the header as JSON."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // ALIGNMENT) * ALIGNMENT)  # the format pads it with spaces
    return len(text).to_bytes(8, "little") + text


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically by `write`, which gets a temporary path; Fault where it fails."""
    with (
        files.report_write_errors(path, (OSError, SafetensorError)),
        files.temporary_file(path) as temporary,
    ):
        write(temporary)


def _save_pickle(arrays: Arrays, path: Path, metadata: dict[str, str]) -> None:
    parsed = {key: json.loads(text) for key, text in metadata.items()}
    with path.open("wb") as file:
        pickle.dump({"params": arrays, **parsed}, file, protocol=4)
