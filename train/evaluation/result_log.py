"""Log of the results of a long evaluation, so that an interrupted one continues where it stopped.

The log is a file of JSON lines. The first line holds the inputs: everything that the results
depend on (checksums of images and checkpoint, versions of methods and libraries). Each further
line is one result. Results are used again only with equal inputs.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.foundation.versions import library_versions

Row = dict[str, Any]
FILE = "answers.jsonl"  # in the folder of an evaluation


class ResultLog:
    """A log of results that is open for appending; use as a context manager.

    A row has reached the file system before `append` returns. A last line that is incomplete,
    because the process was killed while it was written, is dropped when the log is opened again.

    Attributes:
        path: the file.
        rows: the results of the log, in the order in which they were appended.
    """

    def __init__(self, path: Path, inputs: Row) -> None:
        """Open the log at `path`, or start it with `inputs`.

        Raises:
            Misuse: the log has other inputs.
            Fault: a line is damaged.
        """
        self.path = path
        self.rows: list[Row] = []
        lines = _complete_lines(path)
        if lines:
            _check_inputs(_parse(lines[0], path), inputs, path)
            self.rows = [_parse(line, path) for line in lines[1:]]
        self._file = files.open_to_append(path)
        self._file.truncate(sum(map(len, lines)))
        if not lines:
            self._write(inputs)

    def append(self, row: Row) -> None:
        """Append one result."""
        self._write(row)
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

    def _write(self, row: Row) -> None:
        self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._file.flush()


def has_inputs(path: Path, inputs: Row) -> bool:
    """Return whether the log at `path` was started with these inputs; False for a damaged one."""
    try:
        with files.open_file(path) as file:
            return bool(json.loads(file.readline()) == inputs)
    except (OSError, ValueError):
        return False


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
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the sha256 of the contents of a file; Misuse where it cannot be read."""
    try:
        return files.sha256(path)
    except OSError as error:
        raise Misuse(f"{path}: cannot be read: {error.strerror}") from error


def _complete_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that end with a line feed; none without the file."""
    if not path.exists():
        return []
    return [line for line in files.read_bytes(path).splitlines(True) if line.endswith(b"\n")]


def _check_inputs(logged: Row, inputs: Row, path: Path) -> None:
    """Raise Misuse that names the inputs in which a log differs from `inputs`."""
    names = sorted(inputs.keys() | logged.keys())
    differing = [name for name in names if inputs.get(name) != logged.get(name)]
    if differing:
        raise Misuse(
            f"{path}: holds results computed with another {', '.join(differing)};"
            " name another --out, or remove the file to start again"
        )


def _parse(line: bytes, path: Path) -> Row:
    """Parse one line of the log at `path`; Fault where it is damaged."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Fault(f"{path}: has a damaged line: {line[:60]!r}; remove the file") from error
    if not isinstance(row, dict):
        raise Fault(f"{path}: has a line that is no row: {line[:60]!r}; remove the file")
    return row
