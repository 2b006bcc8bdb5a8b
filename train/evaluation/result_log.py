"""Log of the results of a long evaluation, so that an interrupted one continues where it stopped.

The log is a file of JSON lines. The first line holds the inputs: everything that the results
depend on (checksums of images and checkpoint, versions of methods and libraries). Each further
line is one result with a checksum over it and the inputs. Results are used again only with equal
inputs: results of other inputs are in other files of the folder, whose names differ.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from shards.foundation import files
from shards.foundation.errors import Misuse
from shards.foundation.versions import library_versions

Row = dict[str, Any]
CHECKSUM = "crc32"  # name of the last field of a line


def path(folder: Path, inputs: Row) -> Path:
    """Return the path of the log of these inputs in the folder of an evaluation."""
    return folder / f"answers-{_digest(inputs)[:8]}.jsonl"


class ResultLog:
    """A log of results that is open for appending; use as a context manager.

    A row has reached the file system before `append` returns. A line that is incomplete, because
    the process was killed while it was written, or that was changed, is dropped when the log is
    opened again. One process at a time may have the log open (`folder_lock`).

    Attributes:
        path: the file.
        rows: the results of the log, in the order in which they were appended.
    """

    def __init__(self, folder: Path, inputs: Row, key: Callable[[Row], Any]) -> None:
        """Open the log of `inputs` in a folder, or start it.

        Args:
            folder: the folder, which exists.
            inputs: everything that the results depend on, JSON values.
            key: what identifies a result; of two rows with one key, the second is dropped.
        """
        self.path = path(folder, inputs)
        self._inputs = _digest(inputs).encode()
        lines = _read_lines(self.path)
        by_key: dict[Any, Row] = {}
        for row in map(self._parse, lines[1:]):
            if row is not None:
                by_key.setdefault(key(row), row)
        self.rows = list(by_key.values())
        content = [self._format(inputs), *map(self._format, self.rows)]
        if len(lines) > len(content):
            dropped = len(lines) - len(content)
            click.echo(f"{self.path}: {dropped} damaged results are computed again", err=True)
        if lines != content:
            files.write_bytes(self.path, b"".join(content))
        self._file = files.open_to_append(self.path)

    def append(self, row: Row) -> None:
        """Append one result, JSON values."""
        self._file.write(self._format(row))
        self._file.flush()
        self.rows.append(row)

    def __enter__(self) -> ResultLog:
        """Return the log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, also after an error."""
        self._file.close()

    def _format(self, row: Row) -> bytes:
        """Return the line of a row."""
        return _to_json({**row, CHECKSUM: self._checksum(row)}) + b"\n"

    def _parse(self, line: bytes) -> Row | None:
        """Return the row of a line; None where the line is damaged or was changed."""
        try:
            row = json.loads(line)
            checksum = row.pop(CHECKSUM)
            return row if checksum == self._checksum(row) else None
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            return None

    def _checksum(self, row: Row) -> str:
        return f"{zlib.crc32(self._inputs + _to_json(row)):08x}"


def versions(methods: Mapping[str, int]) -> Row:
    """Return the inputs that stand for the program: versions of methods and of libraries.

    Args:
        methods: version of each method. A method's version is raised with every change of code
            that changes its results.
    """
    return {"method_versions": dict(methods), "library_versions": library_versions()}


def encode_arrays(arrays: Mapping[str, NDArray]) -> str:
    """Encode arrays as text for a row, without loss: a compressed .npz in base64."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return base64.b64encode(stream.getvalue()).decode()


def decode_arrays(text: str) -> dict[str, NDArray[Any]]:
    """Decode the arrays that `encode_arrays` encoded."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def digest(paths: Iterable[Path]) -> str:
    """Return one sha256 of the names and contents of several files."""
    lines = [f"{path.name}\0{sha256(path)}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of the contents of a file; Misuse where it cannot be read."""
    try:
        return files.sha256(path)
    except OSError as error:
        raise Misuse(f"{path}: cannot be read: {error.strerror}") from error


def _digest(inputs: Row) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _to_json(row: Row) -> bytes:
    return json.dumps(row, allow_nan=False).encode()


def _read_lines(path: Path) -> list[bytes]:
    """Return the lines of a file; none without the file."""
    if not path.exists():
        return []
    with files.open_file(path) as file:
        return file.readlines()
