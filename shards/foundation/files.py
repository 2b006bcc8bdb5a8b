"""Open files, write them atomically, read and write JSON, compute the sha256 of a file.

Regular files alone are opened: a pipe would be waited on for ever, and a device or a sparse file
can be without end. A file written here is complete or absent: its content goes into a temporary
file in the same folder, which takes the final name at the end. The name of a temporary file begins
with "." and ends with eight random digits and ".tmp"; a killed process may leave one behind.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from shards.foundation.errors import Fault, Misuse


@dataclass(frozen=True)
class FileParameters:
    """Limits of reading and of messages."""

    piece_bytes: int = 1 << 20  # read at a time; chosen: little memory, few calls
    # Bytes of a file that is read whole. Chosen: the largest, an image of 8192×8192 px with 16
    # bits and four channels, has half of it.
    largest: int = 1 << 30
    message_characters: int = 200  # of a library's error message; chosen: two lines


DEFAULT = FileParameters()

# Not to wait for a pipe, nor to pass the file on to other programs. Windows has neither flag, and
# opens files as text without a flag of its own.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)  # of `_temporary_path`


def is_file(path: Path) -> bool:
    """Return whether there is a file, or a link to one; False for names that cannot be one.

    Path.is_file raises where a folder cannot be searched or a name is too long.
    """
    return os.path.isfile(path)  # noqa: PTH113


def open_file(path: Path) -> io.BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: the file cannot be opened, or is a folder, a pipe or a device. Its `strerror`
            continues a message about the file.
    """
    return os.fdopen(_open_regular(path, os.O_RDONLY), "rb")


def open_to_append(path: Path) -> BinaryIO:
    """Open a regular file for writing at its end, and create it where it is missing.

    Raises:
        OSError: see `open_file`.
    """
    return os.fdopen(_open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")


def _open_regular(path: Path, flags: int) -> int:
    """Return the descriptor of a regular file that is opened with `flags`; OSError for others."""
    handle = os.open(path, flags | _FLAGS, 0o666)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "it is a pipe or a device; expected a regular file")


def read_bytes(path: Path, largest: int = DEFAULT.largest) -> bytes:
    """Return the content of a regular file of at most `largest` bytes, as many as it states.

    Raises:
        OSError: see `open_file`; or the file is larger.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            message = f"it has {size:,} bytes; expected at most {largest:,}"
            raise OSError(errno.EFBIG, message)
        return file.read(size)  # Python takes memory for as many bytes as are asked for


def read_text(path: Path) -> str:
    """Return the content of a regular file as UTF-8; see `read_bytes`."""
    return read_bytes(path).decode("utf-8")


def write_bytes(path: Path, data: bytes, durable: bool = False, follow_links: bool = False) -> None:
    """Write a file atomically, and the folders above it.

    Args:
        path: the file; an existing one is replaced.
        data: its whole content.
        durable: wait until the content and the name are on the disk, so that they also survive a
            crash of the machine.
        follow_links: see `temporary_file`.

    Raises:
        Fault: the file cannot be written. An existing file is unchanged then.
    """
    with report_write_errors(path), temporary_file(path, durable, follow_links) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, follow_links: bool = False) -> None:
    """Write text as UTF-8 atomically; names of files keep their bytes. See `write_bytes`."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"), follow_links=follow_links)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically on one line; see `write_bytes`."""
    write_text(path, json.dumps(value))


def read_json(path: Path) -> Any:
    """Read the JSON value in a file.

    Returns:
        The value, or None where the file does not exist.

    Raises:
        Fault: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Fault(f"{path}: is not JSON ({error}); move it away to continue") from error


def sha256(path: Path) -> str:
    """Return the sha256 of a regular file's content as 64 hexadecimal digits; see `open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sha256(path: Path, expected: str) -> bool:
    """Return whether a file has this sha256; False where it is missing or unreadable."""
    try:
        return sha256(path) == expected
    except OSError:
        return False


def read_pieces(file: BinaryIO, parameters: FileParameters = DEFAULT) -> Iterator[bytes]:
    """Yield the rest of an open file in pieces of `parameters.piece_bytes`."""
    while piece := file.read(parameters.piece_bytes):
        yield piece


def require_ending(path: Path, ending: str, option: str) -> None:
    """Check that an output has the ending of its format, so that it replaces no file of another.

    Args:
        path: the output.
        ending: such as ".png"; the case does not matter.
        option: that names the output, for the message.

    Raises:
        Misuse: the ending is another one.
    """
    if path.suffix.lower() != ending:
        raise Misuse(
            f"{option} {path}: expected a name that ends in {ending}, the format of its content"
        )


def check_writable(path: Path, follow_links: bool = False) -> None:
    """Check, before long work, that a file can be written; makes the folders above it.

    Args:
        path: the file; an existing one is unchanged.
        follow_links: see `temporary_file`.

    Raises:
        Fault: the file cannot be written.
    """
    path = _writable_path(path, follow_links)
    temporary = _temporary_path(path)
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        temporary.unlink()


@contextlib.contextmanager
def temporary_file(path: Path, durable: bool = False, follow_links: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without an exception.

    The block writes the file at the temporary path. After an exception the temporary file is
    removed and the exception passes through.

    Args:
        path: the final path; its folder is created.
        durable: see `write_bytes`.
        follow_links: where the path is a symbolic link, write the file that it leads to. For files
            that a user names; within the program's own folders a link is replaced, so that nothing
            outside of them is written.

    Raises:
        Fault: the path is a pipe or a device, the folder cannot be created, or the temporary file
            cannot be renamed.
    """
    path = _writable_path(path, follow_links)
    temporary = _temporary_path(path)
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


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of a temporary file that was written here."""
    return _TEMPORARY_NAME.fullmatch(path.name) is not None


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _writable_path(path: Path, follow_links: bool) -> Path:
    """Return the path to write; Fault for a folder, a pipe or a device, which no file replaces."""
    with report_write_errors(path, (OSError, RuntimeError)):  # a loop of links
        if path.is_symlink() and not follow_links:
            return path
        path = path.resolve() if follow_links else path
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or a device"
        raise Fault(f"{path}: is a {kind}; expected the name of a file")
    return path


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


def check_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise a Fault where the disk of a folder has fewer bytes than `purpose` needs."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Fault(
            f"{folder}: {purpose} needs {needed / 1e6:,.0f} MB, the disk has"
            f" {free / 1e6:,.0f} MB free"
        )


def concerns(folder: Path, error: OSError) -> bool:
    """Return whether an error of the system names no file, or one in the folder."""
    if error.filename is None:
        return True
    return Path(os.fsdecode(error.filename)).resolve().is_relative_to(folder.resolve())


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
