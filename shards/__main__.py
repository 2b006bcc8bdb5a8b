"""Command line of shard sets: python -m shards COMMAND."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Generator
from pathlib import Path

import click

from shards.foundation import files
from shards.foundation.cli import CommandGroup, layout_options, split_names
from shards.foundation.errors import Finding
from shards.foundation.printable import counted


@click.group(cls=CommandGroup)
def main() -> None:
    """Verify, describe and show a shard set."""


@main.command()
@click.argument("directory", type=Path)
@click.option("--quick", "level", flag_value="quick", help="Files, sizes, counts, footers only.")
@click.option("--deep", "level", flag_value="deep", help="Also the meaning of records; see above.")
@click.option(
    "--data",
    type=Path,
    multiple=True,
    help="Data root: records are built again from its images and compared byte by byte.",
)
@layout_options
@click.option(
    "--sample",
    metavar="1%|N|all",
    help="Records that are built again; all by default with --data, none without.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all faults.")
def verify(
    directory: Path,
    level: str | None,
    data: tuple[Path, ...],
    layout: str | None,
    list_file: Path | None,
    name: str | None,
    ppi: float | None,
    raw: str | None,
    sample: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Check the integrity of the shard set in DIRECTORY, with the sha256 of its files.

    --deep decodes every record and checks ranges, ids, persons in two splits, repeated pairs, and
    each map against its images; and it compares the records with the plan that follows from the
    set's settings and the names of its images, and with each other. A sample of 16 impostor pairs
    per shard is searched for images of one finger.

    --data builds records again from the images below the data roots and compares all bytes, which
    finds everything that --deep cannot. --sample chooses how many; without --data the roots are
    those of a build (DENSEREG_DATA, data/raw), and synthesized fingers need none. Your own images
    are found by the --layout or --list of their build, which may be given again.

    Each fault is a line: file, record, message. Exit status: 0 for a sound set, 1 for a set with
    faults, 2 where there is no set.

    Example: python -m shards verify data/shards --deep

    Example: python -m shards verify data/shards --data /data/fvc2002 --sample 1%
    """
    level = level or "full"
    faults = []
    directory = _find_set(directory)
    if (data or list_file or layout) and sample is None:
        sample = "all"
    stated = (layout, list_file, name, ppi, raw)
    faults_of_set = _find_faults(directory, level, data, stated, sample, workers)
    with contextlib.closing(faults_of_set) as findings:
        for finding in findings:
            faults.append({"file": finding.file, "record": finding.record, "what": finding.message})
            if not as_json:
                click.echo(str(finding))
    if as_json:
        report = {"set": str(directory), "level": level, "sound": not faults, "faults": faults}
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo(
            f"{directory}: " + (counted(len(faults), "fault") if faults else f"sound ({level})")
        )
    sys.exit(1 if faults else 0)


def _find_set(directory: Path) -> Path:
    """Return the folder of the set, on Kaggle perhaps one among the inputs."""
    from shards.store import find_set

    return find_set(directory, functools.partial(click.echo, err=True))


def _find_faults(
    directory: Path,
    level: str,
    data: tuple[Path, ...],
    stated: tuple[str | None, Path | None, str | None, float | None, str | None],
    sample: str | None,
    workers: int | None,
) -> Generator[Finding]:
    """Yield the faults of a set; `sample` None builds nothing again.

    `stated` are the values of --layout, --list, --name, --ppi and --raw.
    """
    from shards.verify.verify import verify

    yield from verify(directory, level, workers)
    if level == "deep" or sample is not None:
        # The plan of a set and its images are known to the pipeline alone, see tests/
        # test_architecture.py.
        from pipeline.sources import own
        from pipeline.verification.verification import VerificationOptions, verify_plan

        layout = own.parse_options(*stated, ())
        options = VerificationOptions(level == "deep", sample, data, workers, layout)
        yield from verify_plan(directory, options, functools.partial(click.echo, err=True))


@main.command()
@click.argument("directory", type=Path)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(directory: Path, as_json: bool) -> None:
    """Print the contents of the shard set in DIRECTORY: counts, bytes, spec, hashes.

    Example: python -m shards info data/shards
    """
    from shards.info import format_summary, summarize

    summary = summarize(_find_set(directory))
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

    files.require_ending(out, ".png", "--out")
    number = write_sheet(open_set(_find_set(directory)), out, pairs, split_names(partition))
    click.echo(f"{out}: {counted(number, 'pair')}")


if __name__ == "__main__":
    main()
