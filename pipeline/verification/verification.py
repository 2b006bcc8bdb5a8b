"""Verify a shard set against its plan, and against the images it was built from.

A record is a pure function of the spec, the address of its pair and its images. The plan follows
from the spec and the names of the images, so that the addresses, kinds and names of all records
can be checked without an image; with the images, records are built again and compared byte by
byte. The images of synthesized fingers are synthesized again and need no data root.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline import catalog, plan
from pipeline.building import stated_layout
from pipeline.catalog import Catalog
from pipeline.impression import Impression
from pipeline.plan import ShardPlan
from pipeline.sources import generated, own
from pipeline.sources.own import NOTHING_STATED, StatedLayout
from pipeline.spec import PipelineSpec
from pipeline.verification.check_shard import VerificationTask, check_shard
from pipeline.verification.image_names import name_impressions
from pipeline.verification.partition_counts import PartitionCounts
from pipeline.verification.sample import sample_records
from pipeline.verification.set_spec import read_spec
from shards import manifest as manifests
from shards import provenance, store
from shards.foundation import files, pool
from shards.foundation.errors import Fault, Finding
from shards.foundation.progress import Progress
from shards.info import QUARANTINE
from shards.manifest import Manifest, ShardEntry

Warn = Callable[[str], None]


@dataclass(frozen=True)
class VerificationParameters:
    """Lengths of messages."""

    shown_images: int = 3  # ids in a message; chosen


DEFAULT = VerificationParameters()


@dataclass(frozen=True)
class VerificationOptions:
    """What is compared.

    Attributes:
        content: compare images, maps and masks of the records with each other.
        sample: the records that are built again, as of `sample.count_records`; None for none.
        data: data roots, as of the option --data of a build.
        workers: number of processes; as many as cores by default.
        layout: what the user states about the layout of the files, as for a build.
    """

    content: bool = True
    sample: str | None = None
    data: tuple[Path, ...] = ()
    workers: int | None = None
    layout: StatedLayout = NOTHING_STATED


@dataclass
class _Plans:
    """The plan of a set: shard name → plan, and image id → sha256 of its source."""

    shards: dict[str, ShardPlan] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    partitions: list[str] = field(default_factory=list)


def verify_plan(
    directory: Path, options: VerificationOptions, warn: Warn = lambda message: None
) -> Generator[Finding]:
    """Verify the set in a folder against its plan and, where asked for, against its images.

    Faults of the files and of single records are those of `shards.verify.verify` and are not
    repeated here. Close the generator where it is not used to its end.

    Args:
        directory: folder of the set.
        options: what is compared.
        warn: receives messages for the user that are no faults.

    Yields:
        The faults, as soon as they are known.

    Raises:
        Misuse: the folder contains no set, or a data root is no folder.
        Fault: the data roots cannot be used.
    """
    manifest, _ = store.inspect_manifest(directory)
    if manifest is None:
        return
    try:
        spec = read_spec(manifest.spec)
    except Fault as fault:
        yield Finding(manifests.FILE, None, str(fault))
        return
    plans = _Plans()
    yield from _plan_partitions(directory, manifest, spec, options, plans, warn)
    entries = [entry for entry in manifest.shards if entry.partition in plans.partitions]
    yield from _compare_names(plans, entries)
    tasks = _make_tasks(directory, entries, spec, options, plans)
    counts = PartitionCounts()
    with (
        Progress("compare", len(tasks), "shards") as progress,
        closing(pool.run(check_shard, tasks, options.workers)) as reports,
    ):
        for report in reports:
            yield from report.findings
            counts.add(report)
            progress.advance()
    yield from counts.findings(manifest)


def _plan_partitions(
    directory: Path,
    manifest: Manifest,
    spec: PipelineSpec,
    options: VerificationOptions,
    plans: _Plans,
    warn: Warn,
) -> Iterator[Finding]:
    """Plan all partitions into `plans`; yield the faults of those that cannot be planned."""
    from_files = [name for name in manifest.partitions if not generated.is_generated(name, spec)]
    own_images = {name for name in from_files if name.startswith(own.PREFIX)}
    data_sets = None
    if options.sample is not None and set(from_files) - own_images:
        published = replace(options.layout, own_images=None)
        data_sets = catalog.discover(catalog.data_roots(options.data), published)
    for name, part in manifest.partitions.items():
        if provenance.check_file(directory, name, part.source_hash, part.images):
            continue  # reported by shards.verify.verify
        try:
            hashes = provenance.parse(directory, name, part.images)
        except Fault as fault:
            yield Finding(provenance.file_name(name), None, str(fault))
            continue
        try:
            available = data_sets
            if options.sample is not None and name in own_images:
                available = _discover_own(directory, name, options)
            impressions = _list_impressions(name, hashes, spec, available)
            if impressions is None:
                warn(
                    f"{name}: its fingers are not in the names of its images; its plan is compared"
                    " where the data roots are given (--data)"
                )
                continue
            shards = plan.plan_shards({name: impressions}, spec)
        except (Fault, ValueError) as fault:
            yield Finding(name, None, f"cannot be planned: {fault}")
            continue
        plans.partitions.append(name)
        plans.hashes.update(hashes)
        plans.shards.update((shard.name, shard) for shard in shards)


def _discover_own(directory: Path, name: str, options: VerificationOptions) -> Catalog:
    """List anyone's own images by what is stated now, or was stated when the set was built."""
    layout = options.layout
    if name not in layout.partitions:
        layout = StatedLayout(stated_layout.read(directory, name))
    if layout.own_images is None:
        own.refuse_partitions([name])
    roots = () if layout.own_images and layout.own_images.list else options.data
    return catalog.discover(catalog.data_roots(roots, layout), layout)


def _list_impressions(
    name: str, image_ids: Collection[str], spec: PipelineSpec, data_sets: Catalog | None
) -> list[Impression] | None:
    """Return the impressions of a partition: from the data sets if given, else by their names."""
    if data_sets is None or generated.is_generated(name, spec):
        impressions = name_impressions(name, image_ids, spec)
        _check_number(name, image_ids, spec)
        return impressions
    available = data_sets.select([name], skip_bad=True)[name]
    impressions = [impression for impression in available if impression.image_id in image_ids]
    missing = sorted({*image_ids} - {impression.image_id for impression in impressions})
    if missing:
        shown = ", ".join(missing[: DEFAULT.shown_images])
        raise Fault(f"{len(missing)} of its images are not below the data roots: {shown}")
    return impressions


def _check_number(name: str, image_ids: Collection[str], spec: PipelineSpec) -> None:
    """Raise a Fault where a synthesized partition has another number of images than its spec."""
    expected = spec.fingers * spec.impressions
    limited = any(name.startswith(f"{data_set}/") for data_set, _ in spec.limits)
    if generated.is_generated(name, spec) and not limited and len(image_ids) != expected:
        raise Fault(f"lists {len(image_ids)} images, expected {expected} by the set's spec")


def _compare_names(plans: _Plans, entries: Iterable[ShardEntry]) -> Iterator[Finding]:
    listed = {entry.name for entry in entries}
    for name in sorted(plans.shards.keys() - listed):
        yield Finding(name, None, "is planned, but not in the manifest")
    for name in sorted(listed - plans.shards.keys()):
        yield Finding(name, None, "is not in the plan of its partition")


def _make_tasks(
    directory: Path,
    entries: Sequence[ShardEntry],
    spec: PipelineSpec,
    options: VerificationOptions,
    plans: _Plans,
) -> list[VerificationTask]:
    root, omitted = os.path.realpath(directory), _read_omitted(directory)
    planned = [entry for entry in entries if entry.name in plans.shards]
    sample = sample_records(planned, options.sample) if options.sample is not None else {}
    tasks = []
    for entry in planned:
        shard = plans.shards[entry.name]
        ids = [image.image_id for image in shard.images]
        hashes = {i: plans.hashes[i] for i in ids} if options.sample is not None else None
        chosen = sample.get(entry.name, frozenset())
        left_out = omitted.intersection(ids)
        tasks.append(
            VerificationTask(root, entry, shard, spec, left_out, options.content, hashes, chosen)
        )
    return tasks


def _read_omitted(directory: Path) -> frozenset[str]:
    """Return the ids of the images that the set was built without, by quarantine.jsonl."""
    ids = set()
    try:
        lines = files.read_bytes(directory / QUARANTINE).splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        try:
            ids.add(str(json.loads(line)["image_id"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return frozenset(ids)
