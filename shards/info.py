"""What a shard set holds, told from its manifest alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from shards.foundation.text_table import format_table
from shards.manifest import SPLITS, Manifest
from shards.store import load_manifest

QUARANTINE = "quarantine.jsonl"


def summary(directory: Path) -> dict[str, Any]:
    """Totals, spec, and for each partition its images, shards, bytes and counts; plain JSON.

    counts: split → "kind/noise" → records. Fault where the manifest is not sound, Misuse where
    there is none.
    """
    manifest = load_manifest(directory)
    unusable = directory / QUARANTINE
    return {
        "records": sum(entry.records for entry in manifest.shards),
        "shards": len(manifest.shards),
        "bytes": sum(entry.bytes for entry in manifest.shards),
        "quarantined": len(unusable.read_bytes().splitlines()) if unusable.is_file() else 0,
        "spec": manifest.spec,
        "spec_hash": manifest.spec_hash,
        "partitions": {name: _partition(manifest, name) for name in sorted(manifest.partitions)},
    }


def _partition(manifest: Manifest, name: str) -> dict[str, Any]:
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
        "counts": {split: dict(sorted(found.items())) for split, found in counts.items() if found},
    }


def text(found: dict[str, Any]) -> str:
    """The summary for a person: totals, a table by partition and split, the spec."""
    lines = [
        f"{found['records']:,} pairs in {found['shards']:,} shards, {found['bytes'] / 1e6:,.1f} MB,"
        f" {found['quarantined']:,} images in quarantine"
    ]
    lines += [f"spec {found['spec_hash'][:16]}"]
    lines += [f"  {key} = {value}" for key, value in sorted(found["spec"].items())]
    for name, part in found["partitions"].items():
        source, size = part["source_hash"][:16], part["bytes"] / 1e6
        lines.append(
            f"{name}: {part['records']:,} pairs of {part['images']:,} images ({source}),"
            f" {part['shards']:,} shards, {size:,.1f} MB"
        )
        rows = []
        for split, counts in part["counts"].items():
            rows.append([f"  {split}", f"{sum(counts.values()):,}"])
            rows += [[f"    {sort}", f"{n:,}"] for sort, n in counts.items()]
        lines.append(format_table(rows))
    return "\n".join(lines)
