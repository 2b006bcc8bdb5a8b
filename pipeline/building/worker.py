"""Work of one process: check or build one shard from its images."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import plan
from pipeline.building import state
from pipeline.building.state import BadImage, ShardState
from pipeline.imaging.file import ImageFile, decode, read
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.pair import CroppedImpression, make_pair, prepare_impression
from pipeline.plan import ShardPlan
from pipeline.sources import generated
from pipeline.sources.synthetic import load_truth
from pipeline.spec import PipelineSpec
from shards import manifest, record, shard_file
from shards.foundation.errors import Fault
from shards.foundation.versions import BUILD_DISTRIBUTIONS, library_versions
from shards.manifest import ShardEntry

METHOD = 10  # version of the bytes; increase it when the same spec and images give other bytes
LIGHT_RIDGES = "ridges are light, and built as stored; invert the images for a network of dark ones"

StopRequested = Callable[[], bool]


class Stopped(Exception):
    """Raised where the build was asked to stop; the shard in progress leaves nothing behind."""


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """A shard to check or build; a worker needs nothing else.

    Attributes:
        shard: images and name of the shard.
        spec: settings of the set.
        out: folder of the set.
        skip_bad: build the shard without images that cannot be used.
    """

    shard: ShardPlan
    spec: PipelineSpec
    out: Path
    skip_bad: bool = False

    def key(self, hashes: Sequence[str]) -> str:
        """Return a hash of everything that the shard's bytes depend on.

        Args:
            hashes: sha256 of each image's source.
        """
        numbered = zip(self.shard.images, self.shard.numbers, hashes, strict=True)
        images = [
            [i.image_id, i.finger, i.ppi, number, sha256, *(i.raw_size or ())]
            for i, number, sha256 in numbered
        ]
        settings = shard_settings(self.spec)
        return manifest.json_sha256([settings, record.VERSION, self.shard.name, images])

    @property
    def planned_pairs(self) -> int:
        """Number of pairs when all images are usable."""
        return sum(plan.count_pairs(self.shard, self.spec).values())


class ShardResult(NamedTuple):
    """Outcome of a task.

    Attributes:
        task: the task.
        state: state of the finished shard; None where it is not finished.
        bad: images that cannot be used and prevent the shard.
        hashes: sha256 of each image's source.
        notes: (path, remark) of the images that were read now, where there is one.
    """

    task: ShardTask
    state: ShardState | None
    bad: list[BadImage]
    hashes: list[str]
    notes: Sequence[tuple[str, str]] = ()


def shard_settings(spec: PipelineSpec) -> dict[str, Any]:
    """Return the settings that a shard's bytes depend on, as they are stored in the manifest."""
    fields = dataclasses.asdict(spec)
    del fields["partitions"]  # a set may be built partition by partition
    if not spec.fingers:
        for name in ("fingers", "impressions", "finger_seed"):
            del fields[name]
    return {"method": METHOD, **fields}


def check_shard(task: ShardTask, stop_requested: StopRequested = lambda: False) -> ShardResult:
    """Check whether the shard exists and was built from the same images and settings.

    Args:
        task: the shard.
        stop_requested: is called between images.

    Returns:
        The hashes of the images, and the shard's state where it can be kept. Where it was built
        without images that may not be skipped now, those images and no state.

    Raises:
        Stopped: `stop_requested` returned True.
    """
    hashes = []
    for impression in task.shard.images:
        if stop_requested():
            raise Stopped
        hashes.append(_read_source(impression, task.spec)[0])
    old = state.read(task.out, task.shard.name)
    if old is None or old.key != task.key(hashes) or not state.is_intact(task.out, old.entry):
        return ShardResult(task, None, [], hashes)
    if old.bad and not task.skip_bad:
        return ShardResult(task, None, old.bad, hashes)
    if not old.hashes:
        old = old._replace(hashes=hashes)
        state.write(task.out, old)
    return ShardResult(task, old, [], hashes)


def build_shard(task: ShardTask, stop_requested: StopRequested = lambda: False) -> ShardResult:
    """Build the shard.

    Args:
        task: the shard.
        stop_requested: is called between images and between pairs.

    Returns:
        The state of the shard; or the images without a usable fingerprint and no state.

    Raises:
        Stopped: `stop_requested` returned True.
        Fault: an image was deleted meanwhile, or the shard cannot be written.
    """
    hashes: list[str] = []
    prepared: dict[int, CroppedImpression] = {}
    bad: list[BadImage] = []
    notes: list[tuple[str, str]] = []
    for k, impression in enumerate(task.shard.images):
        if stop_requested():
            raise Stopped
        sha256, result = prepare(impression, task.spec, notes)
        hashes.append(sha256)
        if isinstance(result, BadImage):
            bad.append(result)
        else:
            prepared[k] = result
    if bad and not task.skip_bad:
        return ShardResult(task, None, bad, hashes, notes)

    def state_of(entry: ShardEntry) -> ShardState:
        return ShardState(task.key(hashes), entry, bad, hashes, _versions())

    # The state is written just before the shard gets its name: a shard is never without state.
    path = task.out / task.shard.name
    records = _encode_pairs(task, prepared, stop_requested)
    entry = shard_file.write_shard(
        path, records, lambda entry: state.write(task.out, state_of(entry))
    )
    return ShardResult(task, state_of(entry), bad, hashes, notes)


@functools.cache
def _versions() -> dict[str, str]:
    """Return the versions of the libraries, looked up once: that takes seven milliseconds."""
    return library_versions(BUILD_DISTRIBUTIONS)


def prepare(
    impression: Impression, spec: PipelineSpec, notes: list[tuple[str, str]]
) -> tuple[str, CroppedImpression | BadImage]:
    """Return the sha256 of an image's source, and the prepared impression or what is wrong.

    Remarks about the image are appended to `notes`.
    """
    sha256, data = _read_source(impression, spec)
    try:
        if isinstance(data, Fault):
            raise data
        image, to_master = _decode(impression, data, spec)
        notes += [(str(impression.path), note) for note in image.notes]
        prepared = prepare_impression(impression, image, to_master, spec)
        if prepared.polarity is Polarity.LIGHT:
            notes.append((str(impression.path), LIGHT_RIDGES))
        return sha256, prepared
    except Fault as fault:
        reason = str(fault).removeprefix(f"{impression.path}: ")
        return sha256, BadImage(impression.image_id, str(impression.path), reason)


def _read_source(impression: Impression, spec: PipelineSpec) -> tuple[str, bytes | Fault]:
    """Return the sha256 of an impression's source, and the bytes of its image.

    The source is the image file followed by the truth file where that is used; for a synthesized
    image, the generator's version and address. Where a file exists but cannot be read: the sha256
    of nothing, and the Fault.

    Raises:
        Fault: the image file was deleted.
    """
    try:
        data, truth = _read_files(impression, spec)
    except Fault as fault:
        if not os.path.lexists(impression.path):
            raise
        return hashlib.sha256().hexdigest(), fault
    digest = hashlib.sha256(data)
    digest.update(truth)
    return digest.hexdigest(), data


def _read_files(impression: Impression, spec: PipelineSpec) -> tuple[bytes, bytes]:
    """Return the bytes of the image, and of the truth file where it is used."""
    if impression.generator_address:
        return generated.identity(impression), b""
    truth = _truth_path(impression, spec)
    return read(impression.path), read(truth) if truth else b""


def _decode(
    impression: Impression, data: bytes, spec: PipelineSpec
) -> tuple[ImageFile, Warp | None]:
    """Decode or synthesize the image; return it and its warp to the master where that is used."""
    if impression.generator_address:
        image, to_master = generated.synthesize(impression)
        return ImageFile(image), to_master
    truth = _truth_path(impression, spec)
    image_file = decode(data, str(impression.path), impression.raw_size)
    return image_file, load_truth(truth) if truth else None


def _truth_path(impression: Impression, spec: PipelineSpec) -> Path | None:
    return impression.truth if spec.different_impressions else None


def _encode_pairs(
    task: ShardTask, prepared: dict[int, CroppedImpression], stop_requested: StopRequested
) -> Iterator[bytes]:
    """Yield the records of the pairs whose images are usable.

    A genuine pair without any visible cell is left out.
    """
    for planned in plan.plan_pairs(task.shard, task.spec):
        if stop_requested():
            raise Stopped
        if planned.a in prepared and planned.b in prepared:
            a, b = prepared[planned.a], prepared[planned.b]
            pair = make_pair(a, b, planned.address, task.spec)
            if pair.visible.any() or not pair.genuine:
                yield record.encode(pair)
