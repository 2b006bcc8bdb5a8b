"""The parameters of a trained network in one file that is all a matcher needs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import save as serialise

from model import weights
from shards.errors import Fault, Misuse
from train import checkpoint

FILE = "dense_reg_ckpt.safetensors"

Arrays = dict[str, np.ndarray]  # "backbone.stem.kernel" → float32


def save(path: Path, arrays: Arrays, facts: dict[str, str]) -> None:
    """Write a .safetensors or, for scripts that expect a pickle, a .pkl; whole or not at all.

    facts: as `model.weights.metadata` gives them. A .pkl holds {"params": {name: array}} and the
    facts, read from their JSON, in builtin containers and plain numpy. It is only ever written
    here: to read one is to run what it says.
    """
    writers: dict[str, Callable[..., None]] = {".safetensors": _save_tensors, ".pkl": _save_pickle}
    if path.suffix not in writers:
        raise Misuse(f"{path}: the name must end in {' or '.join(writers)}")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            plain = {name: np.array(array, order="C") for name, array in arrays.items()}
            writers[path.suffix](plain, temporary, facts)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise Fault(f"{path}: cannot be written: {error}") from error


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Arrays and facts of a .safetensors, of a run's folder (its latest) or of a checkpoint's."""
    if path.is_file():
        stored = weights.load(path)
        tensors = weights.tensors(nnx.state(stored.net))
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        return arrays, weights.metadata(stored.net.config, stored.view)
    found = checkpoint.find(path, str(path)) or path
    return checkpoint.load_parameters(found), checkpoint.load_meta(found)["export"]


def _save_tensors(arrays: Arrays, path: Path, facts: dict[str, str]) -> None:
    """The same bytes for the same parameters: the library writes its header in a random order."""
    data = serialise(arrays, facts)
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    text = header.encode().ljust(size)  # the format pads a header with spaces
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def _save_pickle(arrays: Arrays, path: Path, facts: dict[str, str]) -> None:
    described = {key: json.loads(text) for key, text in facts.items()}
    with path.open("wb") as file:
        pickle.dump({"params": arrays, **described}, file, protocol=4)
