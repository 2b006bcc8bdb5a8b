"""Command line of shard sets: python -m shards COMMAND."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from shards.foundation.cli import CommandGroup, split_names


@click.group(cls=CommandGroup)
def main() -> None:
    """Verify, describe and show a shard set."""


@main.command()
@click.argument("directory", type=Path)
@click.option("--quick", "level", flag_value="quick", help="Files, sizes, counts, footers only.")
@click.option("--deep", "level", flag_value="deep", help="Also the meaning of records; see above.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all faults.")
def verify(directory: Path, level: str | None, workers: int | None, as_json: bool) -> None:
    """Check the integrity of the shard set in DIRECTORY, with the sha256 of its files.

    --deep decodes every record and checks ranges, ids, persons in two splits, repeated pairs, and
    each map against its images. A sample of 16 impostor pairs per shard is searched for images of
    one finger.

    Each fault is a line: file, record, message. Exit status: 0 for a sound set, 1 for a set with
    faults, 2 where there is no set.

    Example: python -m shards verify data/shards --deep
    """
    from shards.verify.verify import verify

    level = level or "full"
    faults = []
    with contextlib.closing(verify(directory, level, workers)) as findings:
        for finding in findings:
            faults.append({"file": finding.file, "record": finding.record, "what": finding.message})
            if not as_json:
                click.echo(str(finding))
    if as_json:
        report = {"set": str(directory), "level": level, "sound": not faults, "faults": faults}
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo(f"{directory}: " + (f"{len(faults)} faults" if faults else f"sound ({level})"))
    sys.exit(1 if faults else 0)


@main.command()
@click.argument("directory", type=Path)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(directory: Path, as_json: bool) -> None:
    """Print the contents of the shard set in DIRECTORY: counts, bytes, spec, hashes.

    Example: python -m shards info data/shards
    """
    from shards.info import format_summary, summarize

    summary = summarize(directory)
    click.echo(json.dumps(summary, indent=1) if as_json else format_summary(summary))


@main.command()
@click.argument("directory", type=Path)
@click.option("--out", type=Path, required=True, help="The PNG to write.")
@click.option(
    "--pairs", type=click.IntRange(1, 1000), default=16, show_default=True, help="Number of pairs."
)
@click.option(
    "--partition", multiple=True, help="Only these partitions, such as fvc2002/db1_b,sd302/U."
)
def show(directory: Path, out: Path, pairs: int, partition: tuple[str, ...]) -> None:
    """Plot a contact sheet of pairs with their correspondences.

    Each pair: A with a grid and numbered points, B with the same deformed by its map, and a
    chequerboard of A and of B resampled into the frame of A.

    Example: python -m shards show data/shards --out sheet.png --pairs 16
    """
    from shards.contact_sheet import write_sheet
    from shards.store import open_set

    number = write_sheet(open_set(directory), out, pairs, split_names(partition))
    click.echo(f"{out}: {number} pairs")


if __name__ == "__main__":
    main()
