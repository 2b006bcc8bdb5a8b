"""Commands of the data pipeline: python -m pipeline COMMAND."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.realism.command import compare
from pipeline.synthesis.command import synth
from shards.foundation import files
from shards.foundation.cli import CommandGroup, layout_options, split_names
from shards.foundation.errors import Misuse

if TYPE_CHECKING:
    from pipeline.sources.own import StatedLayout
    from pipeline.spec import PipelineSpec


@click.group(cls=CommandGroup)
def main() -> None:
    """Build shards of training pairs from folders of fingerprint images."""


def data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --data to a command, and --dataset_root, its name in the script of the paper."""
    published = click.option(
        *("--dataset-root", "dataset_root"),
        type=Path,
        multiple=True,
        hidden=True,
        deprecated="It is --data here.",
    )
    data = click.option(
        "--data", type=Path, multiple=True, help="Data root; may be given several times."
    )
    return data(published(command))


@main.command()
@click.option("--out", type=Path, required=True, help="Folder of the shard set.")
@click.option("--config", type=Path, help="Config file; configs/paper.py by default.")
@data_options
@layout_options
@click.option(
    "--partition", multiple=True, help="Only these partitions, such as fvc2002/db1_b,sd302/U."
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or a Ray cluster.",
)
@click.option("--shards", "piece", metavar="i/N", help="Every N-th shard from the i-th, i from 0.")
@click.option("--dry-run", is_flag=True, help="Show what would be built, and write nothing.")
@click.option(
    "--skip-bad", is_flag=True, help="Leave out unusable images; list them in quarantine.jsonl."
)
@click.option("--rebuild", is_flag=True, help="Replace a set that was built with other settings.")
@click.option("--set", "overrides", multiple=True, help="key=value, replaces the config's.")
def build(
    out: Path,
    config: Path | None,
    data: tuple[Path, ...],
    dataset_root: tuple[Path, ...],
    layout: str | None,
    list_file: Path | None,
    name: str | None,
    ppi: float | None,
    raw: str | None,
    partition: tuple[str, ...],
    workers: int | None,
    engine: str,
    piece: str | None,
    dry_run: bool,
    skip_bad: bool,
    rebuild: bool,
    overrides: tuple[str, ...],
) -> None:
    """Build the shards of a config, or complete a set that was interrupted.

    Finished shards are kept: the same command resumes an interrupted build, repairs what verify
    reports, and builds a partition again whose images changed. With --engine ray the shards are
    built on a Ray cluster (docs/SCALING.md), to the same bytes.

    Example: python -m pipeline build --out data/shards --data /data/fvc2002
    --partition fvc2002/db1_b,fvc2002/db3_b

    Example, with your own images (docs/OWN_DATA.md): python -m pipeline build --out data/shards
    --data prints --layout '{person}/{finger}_{impression}' --name lab --ppi 500 --dry-run

    Example, with fingers that are synthesized during the build: python -m pipeline build --out
    data/shards --config configs/demo.py --partition synthetic/big --set pipeline.fingers=1000
    """
    import configs
    from pipeline import catalog, plan, split
    from pipeline.audit.audit import incomplete_partitions
    from pipeline.building import stated_layout, summary_table
    from pipeline.building.build import BuildOptions, summarize
    from pipeline.building.build import build as run_build
    from pipeline.building.state import BadImage
    from pipeline.sources import overview, own
    from shards import store
    from shards.foundation import pool

    number = _parse_piece(piece)
    spec = configs.load(config or configs.PAPER, overrides).pipeline
    named = split_names(partition)
    stated = own.parse_options(layout, list_file, name, ppi, raw, named)
    wanted, stated = _choose_partitions(out, named, stated, spec)
    roots = data + dataset_root

    def show(data_sets: catalog.Catalog) -> None:
        if dry_run and stated.own_images:
            click.echo(overview.format_overview(stated.own_images, data_sets, skip_bad))

    selection, unparsed = catalog.select_impressions(roots, wanted, spec, skip_bad, stated, show)
    for message in incomplete_partitions(selection, spec):
        click.echo(message, err=True)
    if dry_run:
        shards = plan.plan_shards(split.limit_training_images(selection, spec), spec)
        rows, remarks = summary_table.count_planned(shards, spec)
        time = summary_table.format_time(rows, workers or pool.cores())
        click.echo("\n".join([summary_table.format_rows(rows), *remarks, time]))
        return
    earlier = store.find_set(out, lambda message: None)
    if earlier != out and not rebuild and _has_partitions(earlier, selection, spec):
        click.echo(f"{earlier}: has these partitions with the same settings; nothing to build")
        click.echo(f"(--rebuild, make: REBUILD=1, builds them in {out})")
        return
    left_out = [
        BadImage(f"{note.partition}/{note.path.name}", str(note.path), note.reason)
        for note in unparsed
    ]
    options = BuildOptions(workers, number, skip_bad, tuple(left_out), rebuild, engine)
    report = run_build(spec, selection, out, options, functools.partial(click.echo, err=True))
    if stated.own_images:
        stated_layout.write(out, stated.own_images)
    click.echo(summary_table.format_rows(summary_table.count_built(report.entries)))
    click.echo(summarize(report, out))


def _choose_partitions(
    out: Path, named: tuple[str, ...], stated: StatedLayout, spec: PipelineSpec
) -> tuple[tuple[str, ...], StatedLayout]:
    """Return the partitions to build, and the layout of own images, stated now or earlier.

    The first that names any decides: --partition, the stated layout, the shard set in `out`, the
    config. A single partition without a stated layout has the one that its last build kept.

    Raises:
        Misuse: nothing names a partition.
    """
    from pipeline import partition_choice
    from pipeline.building import stated_layout
    from pipeline.sources import own

    existing = () if named or stated.partitions else partition_choice.of_shard_set(out)
    if existing and set(existing) != set(spec.partitions):
        click.echo(f"{out}: builds its own partitions again: {', '.join(existing)}", err=True)
    wanted = named or stated.partitions or existing or spec.partitions
    if not wanted:
        raise Misuse("the config names no partitions; name some with --partition")
    if stated == own.NOTHING_STATED and len(wanted) == 1:
        stated = own.StatedLayout(stated_layout.read(out, wanted[0]))
        if stated.own_images:
            click.echo(f"{wanted[0]}: {stated.own_images.description}, as before", err=True)
    return wanted, stated


def _has_partitions(directory: Path, partitions: Iterable[str], spec: PipelineSpec) -> bool:
    """Return whether the shard set in a folder has these partitions, built with these settings."""
    import json

    from pipeline.building.worker import shard_settings
    from shards import store

    manifest = store.load_manifest(directory)
    settings = json.loads(json.dumps(shard_settings(spec)))  # as a manifest has them
    return set(partitions) <= set(manifest.partitions) and settings == manifest.spec


@main.command()
@click.argument("image", type=Path)
@click.option("--out", type=Path, required=True, help="The sheet, a PNG.")
@click.option("--ppi", type=float, help="Resolution; by default found in the file.")
@click.option("--raw", metavar="WxH", help="Size in px of an image without header.")
@click.option("--config", type=Path, help="Config file; configs/paper.py by default.")
@click.option("--set", "overrides", multiple=True, help="key=value, replaces the config's.")
def show(
    image: Path,
    out: Path,
    ppi: float | None,
    raw: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Plot every stage from an image file to its pairs.

    Example: python -m pipeline show 101_1.tif --out sheet.png --ppi 569
    """
    import configs
    from pipeline.imaging.file import parse_raw_size
    from pipeline.imaging.resolution import warn_of_doubtful
    from pipeline.stage_sheet import write_sheet

    spec = configs.load(config or configs.PAPER, overrides).pipeline
    raw_size = parse_raw_size(raw) if raw is not None else None
    files.require_ending(out, ".png", "--out")
    if os.path.realpath(out) == os.path.realpath(image):
        raise Misuse(f"{out}: is the image itself; name --out otherwise")
    resolution, notes = write_sheet(image, out, ppi, spec, raw_size)
    click.echo("; ".join([f"{out}: every stage of {image}, {resolution}", *notes]))
    warning = warn_of_doubtful({str(image): resolution}, "--ppi")
    if warning:
        click.echo(warning, err=True)


def _parse_piece(text: str | None) -> tuple[int, int]:
    """Parse "i/N"; None is (0, 1)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text or "0/1")
    if match is None or not int(match[1]) < int(match[2]):
        raise Misuse(f"--shards {text}: expected i/N with i from 0 to N - 1, such as 0/4")
    return int(match[1]), int(match[2])


@main.command()
@data_options
@layout_options
@click.option("--config", type=Path, help="Config file; configs/paper.py by default.")
@click.option(
    "--checksums", is_flag=True, help="Compare every file with the publisher's checksums."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(
    data: tuple[Path, ...],
    dataset_root: tuple[Path, ...],
    layout: str | None,
    list_file: Path | None,
    name: str | None,
    ppi: float | None,
    raw: str | None,
    config: Path | None,
    checksums: bool,
    as_json: bool,
) -> None:
    """Report the files on disk: counts, splits, exclusions, errata, damage, missing partitions.

    Example: python -m pipeline audit --data /data/nist --checksums
    """
    import json

    import configs
    from pipeline import catalog
    from pipeline.audit.audit import audit
    from pipeline.audit.text import format_audit
    from pipeline.sources import own
    from pipeline.sources.generated import is_generated

    spec = configs.load(config or configs.PAPER).pipeline
    stated = own.parse_options(layout, list_file, name, ppi, raw)
    data_sets = catalog.discover(catalog.data_roots(data + dataset_root, stated), stated)
    wanted = stated.partitions or [p for p in spec.partitions if not is_generated(p, spec)]
    result = audit(data_sets, wanted, spec.held_out, checksums)
    click.echo(json.dumps(result.to_json(), indent=2) if as_json else format_audit(result))
    sys.exit(0 if result.sound else 1)


main.add_command(synth)
main.add_command(compare)


if __name__ == "__main__":
    main()
