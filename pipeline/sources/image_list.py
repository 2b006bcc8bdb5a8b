"""A list of anyone's own images: CSV or JSON lines, with a path and an identity in each row."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.sources.identity import Entry
from pipeline.sources.listing import check_extension
from shards.foundation import files
from shards.foundation.csv_table import read_table, read_text, resembles
from shards.foundation.errors import Misuse

CSV = (".csv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
REQUIRED = ("path", "impression")
OPTIONAL = ("finger", "person", "frgp", "session", "ppi", "split")
ELSEWHERE = re.compile(r"^(/|~|[A-Za-z]:/)|\\")  # an absolute path, or one of Windows
COLUMNS = "path, finger, impression and, where known, person, frgp, session, ppi, split"


def read(path: Path, raw: bool = False) -> Iterator[tuple[Entry, str | None]]:
    """Yield the entries of a list, each with what is wrong with its file, or None.

    Args:
        path: the list; its paths are relative to its folder, with "/" between their parts.
        raw: it lists files without header too.

    Raises:
        Misuse: the file is not such a list.
    """
    suffix = path.suffix.lower()
    if suffix not in (*CSV, *JSON_LINES):
        expected = ", ".join((*CSV, *JSON_LINES))
        raise Misuse(f"{path}: a list ends with {expected}; found {suffix or 'no extension'}")
    rows = _read_json_lines(path) if suffix in JSON_LINES else _read_csv(path)
    for line, cells in rows:
        fields = {name: cell for name, cell in cells.items() if name != "path" and cell}
        name = posixpath.normpath(cells["path"])
        entry = Entry(path.parent / name, name, f"{path.name} line {line}", fields)
        yield entry, _fault(cells["path"], entry, raw)


def _fault(text: str, entry: Entry, raw: bool) -> str | None:
    """Return what is wrong with the file of a row; None where it may be an image."""
    if ELSEWHERE.search(text) or entry.name.split("/")[0] == "..":
        return (
            f"its path is {text!r}; expected one below the folder of the list, with / between parts"
        )
    extension = check_extension(entry.path.name, raw)
    if extension:
        return extension.reason
    return None if files.is_file(entry.path) else f"its path is {text!r}, which is no file"


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    table = read_table(path, REQUIRED, OPTIONAL)
    table.report_ignored(path)
    if not {"finger", "frgp"} & table.rows[0].cells.keys():
        raise Misuse(f"{path}: has no column finger; expected {COLUMNS}")
    for row in table.rows:
        yield row.line, {name: cell.strip() for name, cell in row.cells.items()}


def _read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, _parse_object(line, f"{path}: line {number}")


def _parse_object(line: str, where: str) -> dict[str, str]:
    """Parse one line of JSON; Misuse where it is not an object of texts and numbers."""
    try:
        pairs = json.loads(line, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{where}: is not JSON ({error}); expected an object in each line") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise Misuse(f"{where}: is not a JSON object; expected {COLUMNS}")
    known = (*REQUIRED, *OPTIONAL)
    row: dict[str, str] = {}
    for name, value in pairs:
        meant = resembles(name, known)
        if meant:
            raise Misuse(f"{where}: {name!r} looks like {meant!r}; rename it")
        if name in row:
            raise Misuse(f"{where}: {name!r} occurs twice")
        if name in known:
            row[name] = _text(value, f"{where}: {name}")
    missing = [name for name in REQUIRED if not row.get(name)]
    if missing:
        raise Misuse(f"{where}: has no {missing[0]}; expected {COLUMNS}")
    return row


def _text(value: Any, where: str) -> str:
    """Return a JSON value as text; Misuse where it is neither a text nor a number.

    Half a surrogate pair is allowed where Python means a byte of a file's name by it.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Misuse(f"{where}: is {value!r:.60}; expected a text or a number")
    if isinstance(value, float):  # in all its digits: two fingers may differ in the last one
        return str(int(value)) if value.is_integer() else repr(value)
    text = str(value).strip()
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        message = f"{where}: is {value!r:.60}; expected text without half a surrogate pair"
        raise Misuse(message) from error
    return text
