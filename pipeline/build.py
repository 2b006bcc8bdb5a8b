"""From selected impressions to a shard set on disk, on this machine's processes."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2

from pipeline import plan
from pipeline.impression import Impression
from pipeline.pair import Print, make_pair, open_print
from pipeline.plan import ShardPlan
from pipeline.spec import PipelineSpec
from shards import manifest, store
from shards.progress import Progress
from shards.record import encode


def build(
    spec: PipelineSpec,
    selection: dict[str, list[Impression]],
    out: Path,
    workers: int | None = None,
) -> manifest.Manifest:
    """Build the shards of the selected partitions into `out`."""
    from pipeline.split import split_of

    shards = plan.make_plan(selection, spec, split_of)
    images = {p: {i.image_id: _sha256(i.path) for i in found} for p, found in selection.items()}
    entries = []
    total = sum(1 for s in shards for _ in plan.pairs(s, spec))
    context = multiprocessing.get_context("spawn")
    with (
        Progress("build", total, "pairs") as progress,
        ProcessPoolExecutor(workers, context, _start) as pool,
    ):
        for task in as_completed([pool.submit(build_shard, s, spec, out) for s in shards]):
            entries.append(task.result())
            progress.advance(entries[-1].records)
    made = manifest.assemble(dataclasses.asdict(spec), images, entries)
    store.write_manifest(out, made)
    return made


def build_shard(shard: ShardPlan, spec: PipelineSpec, out: Path) -> manifest.ShardEntry:
    """One shard, complete or not at all."""
    return store.write_shard(out / shard.name, _records(shard, spec))


def _records(shard: ShardPlan, spec: PipelineSpec) -> Iterator[bytes]:
    prints = [_open(impression, spec) for impression in shard.images]
    for pair in plan.pairs(shard, spec):
        yield encode(make_pair(prints[pair.a], prints[pair.b], pair.address, spec))


def _open(impression: Impression, spec: PipelineSpec) -> Print:
    truth = None
    if spec.different_impressions and impression.truth:
        from pipeline.sources.synthetic import load_truth

        truth = load_truth(impression.truth)
    return open_print(impression, impression.path.read_bytes(), truth, spec)


def _start() -> None:
    cv2.setNumThreads(1)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
