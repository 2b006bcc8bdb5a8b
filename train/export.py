"""Export of trained parameters to one file, which is all that a matcher needs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from flax import nnx

from model.network import tensor_file, weights
from model.network.tensor_file import Arrays
from shards.foundation import files
from shards.foundation.errors import Misuse
from train import checkpoint

FILE = "dense_reg_ckpt.safetensors"


def save(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """Write parameters as .safetensors or, for scripts that expect a pickle, as .pkl; atomically.

    A .pkl is a dict as the published JAX script of IFViT writes and reads it (github.com/
    thanhlamauto/IFViT, dense_reg_ckpt.pkl): {"state": {"params": …}, "metadata": …}. Parameters are
    numpy arrays in dicts nested by module, metadata is parsed from its JSON; everything else is of
    builtin types. The project only writes pickles: reading one runs its code.

    Args:
        path: File to write; its ending selects the format.
        arrays: Parameters by dotted name, float32.
        metadata: From `model.network.weights.metadata`.

    Raises:
        Misuse: Another ending.
        Fault: The file cannot be written.
    """
    writers = {".safetensors": tensor_file.write, ".pkl": _write_pickle}
    if path.suffix not in writers:
        raise Misuse(f"{path}: the name must end in {' or '.join(writers)}")
    writers[path.suffix](path, arrays, metadata)


def add_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Add metadata to a .safetensors; its parameters do not change."""
    arrays, before = tensor_file.read(path)
    tensor_file.write(path, arrays, before | metadata)


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Load parameters and metadata.

    Args:
        path: A .safetensors, which may be of an earlier version without digest; a run's folder
            (its latest checkpoint) or a checkpoint's folder.

    Returns:
        Parameters by dotted name, and metadata as in `save`.
    """
    if path.is_file():
        stored = weights.load(path, digest_required=False)
        tensors = weights.tensors(nnx.state(stored.net))
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        return arrays, weights.metadata(stored.net.config, stored.geometry, stored.calibration)
    folder = checkpoint.find(path, str(path)) or path
    return checkpoint.load_parameters(folder), checkpoint.load_meta(folder)["export"]


def _write_pickle(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    parsed = {key: json.loads(text) for key, text in metadata.items()}
    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
    content = {"state": {"params": weights.nest(contiguous)}, "metadata": parsed}
    files.write_bytes(path, pickle.dumps(content, protocol=4), follow_links=True)
