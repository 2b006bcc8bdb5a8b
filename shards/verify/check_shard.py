"""Check one shard by itself: its file, its bytes, the meaning of its records."""

from __future__ import annotations

import functools
import hashlib
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from numpy.typing import NDArray

from shards import provenance, shard_file
from shards.foundation import files
from shards.foundation.errors import Fault, Finding
from shards.manifest import Manifest, ShardEntry
from shards.record import Pair, decode, person_of_finger
from shards.verify import check_correspondence, check_record
from shards.verify.check_correspondence import CorrespondenceParameters

THUMBNAIL_STEP = 1 / 16  # grey levels


@dataclass(frozen=True)
class DeepCheckParameters:
    """Extent and thresholds of the deep check."""

    # Impostor pairs per shard that are searched for showing one finger, 8 ms each: of a shard with
    # one wrong pair in six it finds 95 % (docs/LOG.md, 2026-11-23, "Parts of one build
    # at the same time; impostor checks").
    impostors: int = 16
    sliver: float = 0.02  # share of visible cells below which a genuine pair is a sliver; chosen
    correspondence: CorrespondenceParameters = check_correspondence.DEFAULT


DEFAULT = DeepCheckParameters()


@dataclass(frozen=True)
class CheckJob:
    """Common input of the checks of all shards.

    Attributes:
        root: real path of the set's folder.
        manifest: its spec and partitions; it needs no shards.
        level: one of `shards.verify.verify.LEVELS`.
        parameters: of the deep check.
    """

    root: str
    manifest: Manifest
    level: str
    parameters: DeepCheckParameters = DEFAULT


@dataclass
class ShardReport:
    """Faults of one shard, and its values for the comparison with other shards.

    Attributes:
        entry: the shard's entry in the manifest.
        findings: its faults.
        sha256: of the file, where it differs from the manifest's.
        persons: person → number of the first record that shows the person.
        records: (number, index, hash of the images) of each record.
        offsets: shifts (x, y) in px between images and maps of the correct genuine pairs.
        thumbnails: uint16 [4, 4] of image B of each record, see `thumbnail`.
        inconclusive: pairs of two impressions that agree nowhere; faults if there are many.
        impressions: number of pairs of two impressions.
        slivers: by kind, number of genuine pairs with hardly a visible cell.
        counts: number of records by "kind/noise".
    """

    entry: ShardEntry
    findings: list[Finding] = field(default_factory=list)
    sha256: str | None = None
    persons: dict[str, int] = field(default_factory=dict)
    records: list[tuple[int, int, int]] = field(default_factory=list)
    offsets: list[tuple[float, float]] = field(default_factory=list)
    thumbnails: list[NDArray[np.uint16]] = field(default_factory=list)
    inconclusive: list[Finding] = field(default_factory=list)
    impressions: int = 0
    slivers: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, record: int | None, message: str) -> None:
        """Add a fault of a record, or of the whole file (None)."""
        self.findings.append(Finding(self.entry.name, record, message))


def check_shard(
    job: CheckJob, entry: ShardEntry, stopped: Callable[[], bool] = lambda: False
) -> ShardReport:
    """Check one shard.

    Records are read where the level is "deep", or where the file's sha256 is wrong, to name the
    damaged ones.

    Args:
        job: common input of all shards.
        entry: the shard.
        stopped: the check ends soon after it returns True.
    """
    report = ShardReport(entry)
    if message := shard_file.check_file(job.root, entry):
        report.add(None, message)
    elif job.level != "quick":
        path = Path(job.root, entry.name)
        try:
            sha256 = files.sha256(path)
            report.sha256 = sha256 if sha256 != entry.sha256 else None
            if report.sha256 is not None or job.level == "deep":
                reader = shard_file.open_reader(path, entry.records)
                _check_records(job, report, reader, stopped)
        except OSError as error:
            report.add(None, f"cannot be read: {error.strerror}")
        except Fault as fault:
            report.add(None, str(fault))
    return report


def _check_records(
    job: CheckJob, report: ShardReport, reader: ArrayRecordReader, stopped: Callable[[], bool]
) -> None:
    impostors, searched = 0, _sample_impostors(report.entry, job.parameters)
    for number, pair in itertools.takewhile(lambda _: not stopped(), _iterate_pairs(reader)):
        if isinstance(pair, Fault):
            report.add(number, str(pair))
        elif job.level == "deep":
            impostors += not pair.genuine
            search = not pair.genuine and impostors in searched
            _note_for_comparison(report, number, pair, job.parameters)
            for message in _check_pair(job, report, number, pair, search):
                report.add(number, message)
    _check_counts(report)
    reader.close()


def _sample_impostors(entry: ShardEntry, parameters: DeepCheckParameters) -> set[int]:
    """Sample the impostor pairs to search, counted from 1 in the shard; by the shard's name."""
    total = sum(number for key, number in entry.counts.items() if key.startswith("impostor/"))
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    return set((1 + rng.permutation(total)[: parameters.impostors]).tolist())


def _iterate_pairs(reader: ArrayRecordReader) -> Iterator[tuple[int, Pair | Fault]]:
    """Yield (number, pair or its fault) of each record; a damaged one does not affect others."""
    for numbers in shard_file.blocks(reader.num_records()):
        try:
            block: list[bytes | Fault] = [*shard_file.read_records(reader, numbers)]
        except Fault:
            block = [_read_one(reader, number) for number in numbers]
        for number, data in zip(numbers, block, strict=True):
            try:
                yield number, data if isinstance(data, Fault) else decode(data)
            except Fault as fault:
                yield number, fault


def _read_one(reader: ArrayRecordReader, number: int) -> bytes | Fault:
    try:
        return shard_file.read_records(reader, [number])[0]
    except Fault as fault:
        return fault


def read_pair(root: str, entry: ShardEntry, number: int) -> Pair | None:
    """Read one record of a shard; None where it is damaged."""
    try:
        reader = shard_file.open_reader(Path(root, entry.name), entry.records)
        try:
            return decode(shard_file.read_records(reader, [number])[0])
        finally:
            reader.close()
    except (Fault, OSError):
        return None


def _note_for_comparison(
    report: ShardReport, number: int, pair: Pair, parameters: DeepCheckParameters
) -> None:
    sha256 = hashlib.sha256(pair.image_a.data)
    sha256.update(pair.image_b.data)
    image_hash = int.from_bytes(sha256.digest()[:8], "little")
    report.counts[f"{pair.kind}/{pair.noise}"] += 1
    report.records.append((number, pair.index, image_hash))
    report.thumbnails.append(thumbnail(pair.image_b))
    report.slivers[pair.kind] += pair.genuine and pair.visible.mean() < parameters.sliver
    for finger in (pair.finger_a, pair.finger_b):
        report.persons.setdefault(person_of_finger(finger), number)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the means of 4 × 4 parts of an image, in units of `THUMBNAIL_STEP` grey levels."""
    means = cv2.resize(image.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(np.asarray(means) / THUMBNAIL_STEP), np.uint16)


def _check_pair(
    job: CheckJob, report: ShardReport, number: int, pair: Pair, search_impostor: bool
) -> list[str]:
    """Return the faults of a decoded record; its images only matter where the rest is valid."""
    name = report.entry.partition
    partition = job.manifest.partitions.get(name)
    images = None
    if partition is not None:
        images = _image_ids(job.root, name, partition.source_hash, partition.images)
    faults = list(check_record.check_pair(pair, name, job.manifest.spec, images))
    if faults:
        return faults
    parameters, size = job.parameters.correspondence, min(pair.image_a.shape)
    period = parameters.period(size, job.manifest.spec)
    if period < parameters.least_period:
        return []
    if pair.genuine:
        return check_images_of_genuine_pair(report, number, pair, parameters.at_size(size))
    message = search_impostor and check_correspondence.search_impostor(pair, period, parameters)
    return [message] if message else []


@functools.lru_cache(maxsize=1)  # shards come by partition
def _image_ids(root: str, partition: str, sha256: str, count: int) -> Collection[str] | None:
    """Return the ids of a partition's images; None where its list is damaged (another finding)."""
    try:
        return provenance.read(Path(root), partition, sha256, count).keys()
    except Fault:
        return None


def check_images_of_genuine_pair(
    report: ShardReport, number: int, pair: Pair, parameters: CorrespondenceParameters
) -> list[str]:
    """Compare the images of a genuine pair by its map.

    Returns:
        Its faults. Offsets and inconclusive pairs are added to the report instead. Impressions
        without any common area, which show different parts of the finger, are not compared.
    """
    agreement = check_correspondence.measure_agreement(pair, parameters)
    message = check_correspondence.check_map(pair, agreement, parameters)
    report.impressions += pair.kind == "genuine-impressions"
    if message is None:
        report.offsets.append((agreement.shift_x, agreement.shift_y))
        return []
    if check_correspondence.is_inconclusive(pair, message):
        if check_correspondence.common_area(pair).any():
            report.inconclusive.append(Finding(report.entry.name, number, message))
        return []
    return [message]


def _check_counts(report: ShardReport) -> None:
    """Compare kinds and noises with the manifest, where all records could be decoded."""
    counts, expected = report.counts, Counter(report.entry.counts)
    if counts.total() == expected.total() and counts != expected:
        report.add(
            None,
            f"contains {_format_counts(counts)}, expected {_format_counts(expected)}"
            " by the manifest",
        )


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {key}" for key, number in sorted(counts.items()))
