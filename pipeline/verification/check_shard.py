"""Check one shard against its plan, its own crops, and records that are built again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from pipeline.plan import PairPlan, ShardPlan
from pipeline.spec import PipelineSpec
from pipeline.verification.rebuild import Rebuilder
from pipeline.verification.record_plan import PlanComparison
from pipeline.verification.shard_content import ShardContent
from shards import shard_file
from shards.foundation.errors import Fault, Finding
from shards.manifest import ShardEntry
from shards.record import Pair, decode
from shards.verify.check_record import check_affine_maps


@dataclass(frozen=True)
class VerificationTask:
    """A shard to check; a worker needs nothing else.

    Attributes:
        root: real path of the set's folder.
        entry: the shard's entry in the manifest.
        shard: its plan.
        spec: settings of the set.
        omitted: ids of the images that the set was built without.
        content: compare images, maps and masks with each other.
        hashes: image id → sha256 of its source; None where nothing is built again.
        sample: numbers of the records that are built again.
    """

    root: str
    entry: ShardEntry
    shard: ShardPlan
    spec: PipelineSpec
    omitted: frozenset[str]
    content: bool
    hashes: dict[str, str] | None
    sample: frozenset[int] = frozenset()


@dataclass
class VerificationReport:
    """Faults of one shard, and its counts for the comparison of its partition.

    Attributes:
        entry: the shard's entry in the manifest.
        findings: its faults.
        differing: number of records whose bytes differ from those that were built again.
        planned_impressions: number of planned pairs of two impressions.
        missing_impressions: how many of them have no record.
        polarities: number of images by the polarity of their crop.
    """

    entry: ShardEntry
    findings: list[Finding] = field(default_factory=list)
    differing: int = 0
    planned_impressions: int = 0
    missing_impressions: int = 0
    polarities: Counter[str] = field(default_factory=Counter)

    def add(self, record: int | None, message: str) -> None:
        """Add a fault of a record, or of the whole shard (None)."""
        self.findings.append(Finding(self.entry.name, record, message))


def check_shard(
    task: VerificationTask, stopped: Callable[[], bool] = lambda: False
) -> VerificationReport:
    """Check one shard; the check ends soon after `stopped` returns True.

    What is wrong with the file or with one record by itself is not reported: see
    `shards.verify.verify`.
    """
    report = VerificationReport(task.entry)
    try:
        path = Path(task.root, task.entry.name)
        reader = shard_file.open_reader(path, task.entry.records)
        try:
            _check_records(task, reader, report, stopped)
        finally:
            reader.close()
    except (Fault, OSError):
        pass
    return report


def _check_records(
    task: VerificationTask,
    reader: ArrayRecordReader,
    report: VerificationReport,
    stopped: Callable[[], bool],
) -> None:
    comparison = PlanComparison(task.shard, task.spec)
    content = ShardContent(task.shard, task.spec)
    rebuilder = Rebuilder(task.shard, task.spec, task.hashes or {})
    matched: dict[int, PairPlan] = {}
    for number, data, pair in _decode_all(reader):
        if stopped():
            return
        planned, messages = comparison.match(pair)
        if planned is not None and _is_comparable(pair, task.spec):
            matched[number] = planned
            if task.content:
                messages += content.add(number, pair, planned)
        if planned is not None and number in task.sample:
            differences = rebuilder.compare(planned, data)
            messages += differences
            report.differing += len(differences)
        for message in messages:
            report.add(number, message)
    if task.content:
        for number, _, pair in _decode_all(reader):
            if stopped():
                return
            if number in matched:
                for message in content.check(pair, matched[number]):
                    report.add(number, message)
        report.polarities = content.count_polarities()
    _check_missing(task, report, comparison, content, rebuilder)


def _check_missing(
    task: VerificationTask,
    report: VerificationReport,
    comparison: PlanComparison,
    content: ShardContent,
    rebuilder: Rebuilder,
) -> None:
    """Report the planned pairs that have no record, unless a build leaves them out."""
    images = task.shard.images
    for planned in comparison.missing():
        if task.hashes is not None:
            omitted = rebuilder.is_omitted(planned)
        else:
            ids = {images[planned.a].image_id, images[planned.b].image_id}
            omitted = bool(ids & task.omitted) or (task.content and content.is_explained(planned))
        report.missing_impressions += planned.address.kind == "genuine-impressions" and omitted
        if not omitted:
            report.add(None, f"lacks {comparison.describe(planned)}, which is planned")
    report.planned_impressions += comparison.count("genuine-impressions")


def _decode_all(reader: ArrayRecordReader) -> Iterator[tuple[int, bytes, Pair]]:
    """Yield (number, record, pair) of all undamaged records."""
    for number, data in shard_file.iterate_records(reader):
        try:
            yield number, data, decode(data)
        except Fault:
            continue


def _is_comparable(pair: Pair, spec: PipelineSpec) -> bool:
    """Return whether a pair has the size and grid of the spec, and numbers to compute with."""
    has_shape = pair.image_a.shape == (spec.size, spec.size) and len(pair.visible) == spec.grid
    is_finite = bool(np.isfinite(pair.map_ab[pair.visible]).all())
    return has_shape and is_finite and not any(check_affine_maps(pair))
