"""Long work that can be interrupted: what is done is appended to a file and found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse

Row = dict[str, Any]


class Ledger:
    """A file of JSON lines: first the facts that the rows rest on, then a row each; to be closed.

    A row is on the file system before `append` returns. A last line that was cut off when a process
    was killed is dropped when the file is opened again.
    """

    def __init__(self, path: Path, facts: Row) -> None:
        """Open or begin the file at `path`; Misuse where it holds the rows of other facts."""
        self.path = path
        self.rows: list[Row] = []
        kept = self._kept()
        if kept:
            found = _parsed(kept[0], path)
            differing = sorted(k for k in facts.keys() | found if facts.get(k) != found.get(k))
            if differing:
                raise Misuse(
                    f"{path}: holds answers made with another {', '.join(differing)};"
                    " name another --out, or remove it to begin anew"
                )
            self.rows = [_parsed(line, path) for line in kept[1:]]
        self._file = path.open("ab")
        self._file.truncate(sum(map(len, kept)))
        if not kept:
            self._write(facts)

    def append(self, row: Row) -> None:
        """Keep one more row."""
        self._write(row)
        self.rows.append(row)

    def __enter__(self) -> Ledger:
        """The ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, whatever happened."""
        self._file.close()

    def _kept(self) -> list[bytes]:
        """The whole lines of the file."""
        if not self.path.exists():
            return []
        return [line for line in self.path.read_bytes().splitlines(True) if line.endswith(b"\n")]

    def _write(self, row: Row) -> None:
        self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._file.flush()


def rests_on(path: Path, facts: Row) -> bool:
    """Whether the file at `path` begins with just these facts; a damaged one does not."""
    try:
        with path.open("rb") as file:
            return bool(json.loads(file.readline()) == facts)
    except (OSError, ValueError):
        return False


def digest(paths: Iterable[Path]) -> str:
    """One sha256 of the names and contents of files."""
    lines = (f"{path.name}\0{sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Of a file's contents; Misuse where it cannot be read."""
    try:
        return files.sha256(path)
    except OSError as error:
        raise Misuse(f"{path}: cannot be read: {error.strerror}") from error


def _parsed(line: bytes, path: Path) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Fault(f"{path}: has a damaged line: {line[:60]!r}; remove the file") from error
    if not isinstance(row, dict):
        raise Fault(f"{path}: has a line that is no row: {line[:60]!r}; remove the file")
    return row
