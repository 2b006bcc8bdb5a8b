"""Write files atomically, read and write JSON, compute the sha256 of a file.

A file written here is complete or absent: its content goes into a temporary file in the same
folder, which takes the final name at the end. The name of a temporary file begins with "." and
ends with ".tmp"; a killed process may leave one behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from shards.foundation.errors import Fault


@dataclass(frozen=True)
class FileParameters:
    """Limits of reading and of messages."""

    piece_bytes: int = 1 << 20  # read at a time; chosen: little memory, few calls
    message_characters: int = 200  # of a library's error message; chosen: two lines


DEFAULT = FileParameters()


def write_bytes(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file atomically, and the folders above it.

    Args:
        path: the file; an existing one is replaced.
        data: its whole content.
        durable: wait until the content and the name are on the disk, so that they also survive a
            crash of the machine.

    Raises:
        Fault: the file cannot be written. An existing file is unchanged then.
    """
    with report_write_errors(path), temporary_file(path, durable) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, durable: bool = False) -> None:
    """Write a JSON value atomically on one line; see `write_bytes`."""
    write_bytes(path, json.dumps(value).encode(), durable)


def read_json(path: Path) -> Any:
    """Read the JSON value in a file.

    Returns:
        The value, or None where the file does not exist.

    Raises:
        Fault: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Fault(f"{path}: is not JSON ({error}); move it away to continue") from error


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits; OSError passes through."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_pieces(file: BinaryIO, parameters: FileParameters = DEFAULT) -> Iterator[bytes]:
    """Yield the rest of an open file in pieces of `parameters.piece_bytes`."""
    while piece := file.read(parameters.piece_bytes):
        yield piece


@contextlib.contextmanager
def temporary_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without an exception.

    The block writes the file at the temporary path. After an exception the temporary file is
    removed and the exception passes through.

    Args:
        path: the final path; its folder is created.
        durable: see `write_bytes`.

    Raises:
        Fault: the folder cannot be created, or the temporary file cannot be renamed.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with report_write_errors(path):
            if durable:
                sync(temporary)
            temporary.replace(path)
            if durable:
                sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def report_write_errors(
    path: Path, kinds: tuple[type[Exception], ...] = (OSError,)
) -> Iterator[None]:
    """Turn exceptions of `kinds` that the block raises into a Fault that names `path`."""
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or str(error)[: DEFAULT.message_characters]
        raise Fault(f"{path}: cannot be written: {reason}") from error


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
