"""Read .npz files that may be damaged or hostile; nothing pickled is loaded."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

# What zipfile, zlib and numpy raise for a damaged file
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    OverflowError,
    RuntimeError,
    MemoryError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class NpzParameters:
    """Limits of the files that are read."""

    # Bytes of the file, and of all its arrays, unpacked. Chosen: map and sigma of the largest image
    # have three quarters of it.
    largest: int = 1 << 30


DEFAULT = NpzParameters()


def read(
    path: Path,
    content: str,
    names: Container[str] | None = None,
    parameters: NpzParameters = DEFAULT,
) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz file.

    Args:
        path: the file.
        content: what it should be, for messages, such as "registration".
        names: of the arrays that are read, where the file has them; None for all.
        parameters: limits of its size.

    Returns:
        The arrays by name.

    Raises:
        Misuse: there is no such file.
        Fault: the file is damaged, too large, or none of this format.
    """
    try:
        data = io.BytesIO(files.read_bytes(path, parameters.largest))
        with zipfile.ZipFile(data) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > parameters.largest:
            limit = parameters.largest
            raise ValueError(f"it unpacks to {size:,} bytes; expected at most {limit:,}")
        data.seek(0)
        with np.load(data, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if names is None or name in names}
    except FileNotFoundError as error:
        raise Misuse(f"{path}: no such {content}") from error
    except DAMAGE as error:
        raise Fault(f"{path}: cannot be read as a {content}: {error}") from error
