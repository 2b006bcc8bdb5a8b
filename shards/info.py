"""Summarise a shard set from its manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from shards.foundation import files
from shards.foundation.errors import Fault
from shards.foundation.printable import counted
from shards.foundation.text_table import format_table
from shards.manifest import SPLITS, Manifest
from shards.store import load_manifest

QUARANTINE = "quarantine.jsonl"
BYTES_PER_MB = 1e6
SHOWN_DIGITS = 16  # of a hash, in the text


def summarize(directory: Path) -> dict[str, Any]:
    """Summarise the set in a folder.

    Returns:
        A JSON object: the totals, the spec, and for each partition its numbers of images, shards,
        bytes and records, and its counts (split → "kind/noise" → records).

    Raises:
        Fault: the manifest has faults, or quarantine.jsonl cannot be read.
        Misuse: the folder contains no set.
    """
    manifest = load_manifest(directory)
    return {
        "records": sum(entry.records for entry in manifest.shards),
        "shards": len(manifest.shards),
        "bytes": sum(entry.bytes for entry in manifest.shards),
        "quarantined": _count_lines(directory / QUARANTINE),
        "spec": manifest.spec,
        "spec_hash": manifest.spec_hash,
        "partitions": {
            name: _summarize_partition(manifest, name) for name in sorted(manifest.partitions)
        },
    }


def _count_lines(path: Path) -> int:
    """Return the number of lines of a file; 0 where there is none."""
    try:
        return len(files.read_bytes(path).splitlines())
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error


def _summarize_partition(manifest: Manifest, name: str) -> dict[str, Any]:
    entries = [entry for entry in manifest.shards if entry.partition == name]
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for entry in entries:
        counts[entry.split].update(entry.counts)
    return {
        "images": manifest.partitions[name].images,
        "source_hash": manifest.partitions[name].source_hash,
        "shards": len(entries),
        "bytes": sum(entry.bytes for entry in entries),
        "records": sum(entry.records for entry in entries),
        "counts": {
            split: dict(sorted(of_split.items())) for split, of_split in counts.items() if of_split
        },
    }


def format_summary(summary: dict[str, Any]) -> str:
    """Format a summary as text: totals, spec, and a table for each partition."""
    lines = [
        f"{counted(summary['records'], 'pair')} in {counted(summary['shards'], 'shard')},"
        f" {_megabytes(summary['bytes'])},"
        f" {counted(summary['quarantined'], 'image')} in quarantine",
        f"spec {summary['spec_hash'][:SHOWN_DIGITS]}",
    ]
    lines += [f"  {key} = {value}" for key, value in sorted(summary["spec"].items())]
    for name, partition in summary["partitions"].items():
        lines.append(
            f"{name}: {counted(partition['records'], 'pair')} of"
            f" {counted(partition['images'], 'image')}"
            f" ({partition['source_hash'][:SHOWN_DIGITS]}),"
            f" {counted(partition['shards'], 'shard')},"
            f" {_megabytes(partition['bytes'])}"
        )
        rows = []
        for split, counts in partition["counts"].items():
            rows.append([f"  {split}", f"{sum(counts.values()):,}"])
            rows += [[f"    {key}", f"{number:,}"] for key, number in counts.items()]
        lines.append(format_table(rows))
    return "\n".join(lines)


def _megabytes(size: int) -> str:
    return f"{size / BYTES_PER_MB:,.1f} MB"
