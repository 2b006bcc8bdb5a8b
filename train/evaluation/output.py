"""The folder of an evaluation's results, and CSV files in it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shards.foundation import files
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer


@contextlib.contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Make the folder `out` and lock it, then run the block that writes into it.

    Raises:
        Misuse: the folder cannot be made, or another process writes into it; raised before the work
            of the block starts.
        Fault: writing fails, for example because the disk is full.
    """
    with sole_writer(out), reporting_errors(out):
        yield


@contextlib.contextmanager
def reporting_errors(out: Path) -> Iterator[None]:
    """Turn an OSError of the block into a Fault, where it may be about writing into `out`."""
    try:
        yield
    except OSError as error:
        if not files.concerns(out, error):
            raise
        raise Fault(
            f"{out}: cannot be written: {error}; the finished comparisons are kept: free some "
            "space and run the same command again"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents; Misuse where a file is in its place or access is denied."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"{path}: no folder can be made here: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """Write text as `files.write_text` does, but leave errors to `reporting_errors`."""
    with files.temporary_file(path) as temporary:
        temporary.write_text(text, "utf-8", "surrogateescape", newline="")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows, which all have the keys of the first, as a CSV file; an empty one for no rows."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write results as a JSON file, one value a line."""
    write_text(path, json.dumps(summary, indent=1, allow_nan=False) + "\n")


def rounded(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Round metrics to 6 decimals; None (null in JSON, empty in CSV) for undefined ones."""
    return {k: round(v, 6) if math.isfinite(v) else None for k, v in metrics.items()}


def as_text(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return inputs as texts for a page: {"library_versions": "jax 0.12.0, …"}."""
    return {key: _value_text(value) for key, value in inputs.items()}


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {of}" for name, of in value.items())
    return "none" if value is None else str(value)
