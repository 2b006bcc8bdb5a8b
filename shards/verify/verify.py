"""Verify a shard set at one of three levels.

    quick   the manifest and the lists of images; each shard: its file, size, footer and number of
            records
    full    also the sha256 of each file; a file with a wrong one is searched for damaged records
    deep    also the meaning of each record: ranges, ids, map against visibility, map against
            images (check_correspondence); splits disjoint by person; no pair twice, up to a grey
            level; not many pairs with hardly a visible cell; a sample of the impostor pairs is
            searched for showing one finger

`pipeline.verification` compares a set with its plan and with the images it was built from.

Shards are checked in several processes and findings are yielded at once, so that memory does not
grow with the set, apart from what `compare_shards` keeps.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from shards import manifest as manifests
from shards import provenance, store
from shards.foundation import pool
from shards.foundation.errors import Finding, Misuse
from shards.foundation.progress import Progress
from shards.manifest import Manifest, ShardEntry
from shards.verify.check_shard import CheckJob, ShardReport, check_shard, read_pair
from shards.verify.compare_shards import ShardComparison

LEVELS = ("quick", "full", "deep")


@dataclass(frozen=True)
class PoolParameters:
    """When and how shards are divided among processes."""

    # Number of shards above which processes take less time than they need to start; measured.
    quick_from: int = 2_000
    full_from: int = 20
    deep_from: int = 1
    tasks_per_worker: int = 8  # chosen: workers end at about the same time
    largest_task: int = 64  # shards; chosen: progress is shown often

    def worthwhile(self, level: str, shards: int) -> bool:
        """Return whether several processes check this number of shards faster."""
        return shards > getattr(self, f"{level}_from")


DEFAULT = PoolParameters()


def verify(
    directory: Path,
    level: str = "full",
    workers: int | None = None,
    parameters: PoolParameters = DEFAULT,
) -> Generator[Finding]:
    """Verify the set in a folder.

    Close the generator where it is not used to its end: its processes end then.

    Args:
        directory: folder of the set.
        level: one of LEVELS.
        workers: number of processes; as many as cores by default.
        parameters: use of the processes.

    Yields:
        The faults, as soon as they are known. None in a sound set.

    Raises:
        Misuse: the folder contains no set, or there is no such level. Whatever a set contains,
            nothing else is raised.
    """
    if level not in LEVELS:
        raise Misuse(f"level {level!r}: expected one of {', '.join(LEVELS)}")
    manifest, faults = store.inspect_manifest(directory)
    yield from (Finding(manifests.FILE, None, message) for message in faults)
    if manifest is None:
        return
    yield from _check_image_lists(directory, manifest)
    yield from _find_unlisted_shards(directory, manifest)
    by_name = {entry.name: entry for entry in manifest.shards}
    entries = sorted(by_name.values(), key=lambda entry: (entry.partition, entry.name))
    names = {entry.sha256: entry.name for entry in entries}
    # The job goes to each process, which gets its entries apart.
    job = CheckJob(os.path.realpath(directory), replace(manifest, shards=()), level)
    comparison = ShardComparison(functools.partial(read_pair, job.root))
    with (
        Progress(f"verify {level}", len(entries), "shards") as progress,
        closing(_check_shards(job, entries, workers, parameters)) as reports,
    ):
        for report in reports:
            if report.sha256 is not None:
                yield _describe_wrong_sha256(report, names)
            yield from report.findings
            yield from comparison.add(report)
            progress.advance()
    yield from comparison.finish()


def _check_image_lists(directory: Path, manifest: Manifest) -> Iterator[Finding]:
    for name, part in manifest.partitions.items():
        if message := provenance.check_file(directory, name, part.source_hash, part.images):
            yield Finding(provenance.file_name(name), None, message)


def _find_unlisted_shards(directory: Path, manifest: Manifest) -> Iterator[Finding]:
    listed = {entry.name for entry in manifest.shards}
    for name in store.list_files(directory):
        if name not in listed:
            printable = name.encode("utf-8", "backslashreplace").decode()
            yield Finding(printable, None, "is not in the manifest")


def _describe_wrong_sha256(report: ShardReport, names: dict[str, str]) -> Finding:
    """Describe a shard whose sha256 is not the manifest's; `names` are those of all shards."""
    message = "was changed after it was written (sha256)"
    if other := names.get(str(report.sha256)):
        message += f": its content is that of {other}"
    elif not report.findings:
        message += "; its records are valid: it is of another build, or changed between records"
    return Finding(report.entry.name, None, message)


def _check_shards(
    job: CheckJob, entries: list[ShardEntry], workers: int | None, parameters: PoolParameters
) -> Generator[ShardReport]:
    """Yield the reports of all shards in their order."""
    workers = workers or pool.cores()
    if workers == 1 or not parameters.worthwhile(job.level, len(entries)):
        yield from (check_shard(job, entry) for entry in entries)
        return
    size = len(entries) // (parameters.tasks_per_worker * workers)
    size = max(1, min(parameters.largest_task, size))
    tasks = [entries[k : k + size] for k in range(0, len(entries), size)]
    with closing(pool.run(functools.partial(_check_task, job), tasks, workers)) as results:
        for reports in results:
            yield from reports


def _check_task(
    job: CheckJob, entries: list[ShardEntry], stopped: Callable[[], bool]
) -> list[ShardReport]:
    """Check some shards in a worker process, until `stopped` returns True."""
    return [check_shard(job, entry, stopped) for entry in entries if not stopped()]
