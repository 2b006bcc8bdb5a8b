"""The .safetensors files of checkpoints: tensors and texts, with a digest of both.

The metadata's text "sha256" is the digest of everything else in the file, so that no changed
parameter, name or text is used. The digest finds damage; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as deserialise
from safetensors.numpy import save as serialise

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

DIGEST = "sha256"
METADATA = "__metadata__"  # the header's entry for texts, by the safetensors format
LENGTH_BYTES = 8  # before the header
ALIGNMENT = 8  # bytes, of the first tensor; by the safetensors format

Arrays = dict[str, np.ndarray]  # "backbone.stem.kernel" → float32


@dataclass(frozen=True)
class TensorFileParameters:
    """Limits of the files that are read."""

    # Bytes. Chosen: the published network has 55 MB; a hundred times as much fits into memory.
    largest: int = 1 << 32


DEFAULT = TensorFileParameters()


def pack(arrays: Arrays, metadata: dict[str, str]) -> bytes:
    """Return the bytes of a file: the same for the same arguments.

    The header is sorted, since the library writes it in a random order.

    Args:
        arrays: tensors by name.
        metadata: texts; a digest in it is replaced.
    """
    plain = {key: text for key, text in metadata.items() if key != DIGEST}
    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
    header, content = _split(serialise(contiguous, plain))
    header[METADATA] = {**plain, DIGEST: _digest(header, content)}
    text = _canonical(header)
    text = text.ljust(-(-len(text) // ALIGNMENT) * ALIGNMENT)  # the format pads it with spaces
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + content


def read(
    path: Path, digest_required: bool = True, parameters: TensorFileParameters = DEFAULT
) -> tuple[Arrays, dict[str, str]]:
    """Read a file after checking its digest.

    Args:
        path: the file.
        digest_required: refuse a file without digest, as earlier versions wrote them.
        parameters: limits of the size.

    Returns:
        The tensors by name, and the texts without the digest.

    Raises:
        Misuse: the file does not exist.
        Fault: the file is damaged, or no .safetensors file.
    """
    if not path.exists():
        raise Misuse(f"{path}: no such checkpoint; python -m train run writes one")
    if path.is_dir():
        raise Misuse(
            f"{path}: is a folder; expected a .safetensors file, such as the"
            " dense_reg_ckpt.safetensors of a run"
        )
    try:
        data = files.read_bytes(path, parameters.largest)
        arrays = deserialise(data)
        header, content = _split(data)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise Fault(f"{path}: damaged, or no .safetensors checkpoint: {error}") from error
    metadata: dict[str, str] = header.pop(METADATA, None) or {}
    stated = metadata.pop(DIGEST, None)
    if stated is None and digest_required and metadata:
        raise Fault(
            f"{path}: has no digest, as those of earlier versions; python -m train export"
            f" --checkpoint {path} --out NEW.safetensors adds one"
        )
    if stated is not None and stated != _digest({**header, METADATA: metadata}, content):
        raise Fault(f"{path}: damaged: its content is not that of its digest; copy it again")
    return arrays, metadata


def write(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """Write a file atomically (see `pack`); Fault where it cannot be written."""
    with files.report_write_errors(path, (SafetensorError,)):
        data = pack(arrays, metadata)
    files.write_bytes(path, data, follow_links=True)


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a file that the library accepts, and the bytes of its tensors."""
    start = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    return json.loads(data[LENGTH_BYTES:start]), data[start:]


def _digest(header: dict[str, Any], content: bytes) -> str:
    """Return the sha256 of a header without digest and of the tensors."""
    digest = hashlib.sha256(_canonical(header))
    digest.update(content)
    return digest.hexdigest()


def _canonical(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
