"""The parameters of a trained network in one file that is all a matcher needs."""

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
ALIGNED = 8  # bytes, that the parameters begin at

Arrays = dict[str, np.ndarray]  # "backbone.stem.kernel" → float32


def save(path: Path, arrays: Arrays, facts: dict[str, str]) -> None:
    """Write a .safetensors or, for scripts that expect a pickle, a .pkl; whole or not at all.

    facts: as `model.network.weights.metadata` gives them. A .pkl holds {"params": {name: array}} and the
    facts, read from their JSON, in builtin containers and plain numpy. It is only ever written
    here: to read one is to run what it says.
    """
    writers: dict[str, Callable[..., None]] = {".safetensors": _save_tensors, ".pkl": _save_pickle}
    if path.suffix not in writers:
        raise Misuse(f"{path}: the name must end in {' or '.join(writers)}")
    plain = {name: np.array(array, order="C") for name, array in arrays.items()}
    _replace(path, lambda temporary: writers[path.suffix](plain, temporary, facts))


def add(path: Path, facts: dict[str, str]) -> None:
    """Put `facts` into the metadata of a .safetensors; no byte of its parameters changes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] |= facts
    _replace(path, lambda temporary: temporary.write_bytes(_headed(header) + data[start:]))


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Arrays and facts of a .safetensors, of a run's folder (its latest) or of a checkpoint's."""
    if path.is_file():
        stored = weights.load(path)
        tensors = weights.tensors(nnx.state(stored.net))
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        return arrays, weights.metadata(stored.net.config, stored.geometry, stored.curves)
    found = checkpoint.find(path, str(path)) or path
    return checkpoint.load_parameters(found), checkpoint.load_meta(found)["export"]


def _save_tensors(arrays: Arrays, path: Path, facts: dict[str, str]) -> None:
    """The same bytes for the same parameters: the library writes its header in a random order."""
    data = serialise(arrays, facts)
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(_headed(json.loads(data[8:start])) + data[start:])


def _headed(header: dict[str, Any]) -> bytes:
    """The bytes before the parameters: the header's length, and the header."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // ALIGNED) * ALIGNED)  # the format pads it with spaces
    return len(text).to_bytes(8, "little") + text


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """What `write` writes to a path, at `path`: whole or not at all; Fault where it fails."""
    with (
        files.report_write_errors(path, (OSError, SafetensorError)),
        files.temporary_file(path) as temporary,
    ):
        write(temporary)


def _save_pickle(arrays: Arrays, path: Path, facts: dict[str, str]) -> None:
    described = {key: json.loads(text) for key, text in facts.items()}
    with path.open("wb") as file:
        pickle.dump({"params": arrays, **described}, file, protocol=4)
