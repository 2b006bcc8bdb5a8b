"""Build: contents of a set, and the same bytes in every way of building it."""

import dataclasses

import cv2
import pytest
from set_files import PARTITIONS, SPEC, build_set, content, select

from pipeline.building.build import summarize
from shards import manifest, record, store
from shards.verify.verify import verify


def test_set_is_sound_and_complete(images, tmp_path):
    report = build_set(images, tmp_path)
    assert list(verify(tmp_path, "deep", 1)) == []
    shards = store.open_set(tmp_path)
    kinds = {p: item.counts for p, item in shards.manifest.partitions.items()}
    assert sum(sum(by.values()) for splits in kinds.values() for by in splits.values()) == 120
    assert sum(by["impostor"] for splits in kinds.values() for by in splits.values()) == 30
    assert {e.name for e in report.entries} == {e.name for e in shards.manifest.shards}
    assert (report.finished_before, report.bad, report.missing) == (0, [], 0)


def test_record_can_be_synthesized_again_from_its_address(images, tmp_path):
    """Seed, index and image ids of a record determine its bytes."""
    from pipeline.imaging.file import load
    from pipeline.pair import Address, make_pair, prepare_impression

    build_set(images, tmp_path, partitions=PARTITIONS[:1])
    by_id = {i.image_id: i for i in select(images)[PARTITIONS[0]]}
    shards = store.open_set(tmp_path)
    for data in shards.read("train", range(0, shards.count("train"), 5)):
        pair = record.decode(data)
        a, b = (
            prepare_impression(by_id[i], load(by_id[i].path), None, SPEC)
            for i in (pair.image_id_a, pair.image_id_b)
        )
        assert (
            record.encode(make_pair(a, b, Address(pair.kind, pair.noise, pair.index), SPEC)) == data
        )


def test_different_impressions_of_synthetic_fingers(tmp_path):
    from pipeline.synthesis.write import write_set

    write_set(tmp_path / "data", 5, 2, 5, 1, "few")
    spec = dataclasses.replace(SPEC, different_impressions=1, elastic=3.0, translation=8.0)
    build_set(tmp_path / "data", tmp_path / "out", spec, ("synthetic/few",))
    counts = store.load_manifest(tmp_path / "out").partitions["synthetic/few"].counts
    assert sum(by.get("genuine-impressions", 0) for by in counts.values()) == 10
    assert list(verify(tmp_path / "out", "deep", 1)) == []


@pytest.mark.parametrize("workers", [2, 5])
def test_same_bytes_with_more_workers(images, tmp_path, complete_set, workers):
    build_set(images, tmp_path, workers=workers)
    assert content(tmp_path) == complete_set


def test_same_bytes_from_pieces_in_any_order(images, tmp_path, complete_set):
    there = 0
    for number in (2, 0, 1):
        report = build_set(images, tmp_path, piece=(number, 3))
        assert (tmp_path / manifest.FILE).exists() == (number == 1)
        assert report.finished_before == there
        there = len(report.entries)
    assert report.missing == 0
    assert f"0 shards built, {there} there" in summarize(
        build_set(images, tmp_path, piece=(0, 3)), tmp_path
    )
    assert content(tmp_path) == complete_set


def test_last_piece_reports_a_lost_shard_of_another(images, tmp_path, complete_set):
    first = build_set(images, tmp_path, piece=(0, 2))
    (tmp_path / first.entries[0].name).unlink()
    assert build_set(images, tmp_path, piece=(1, 2)).missing == 1
    assert not (tmp_path / manifest.FILE).exists()
    build_set(images, tmp_path, piece=(0, 2))
    assert content(tmp_path) == complete_set


def test_same_bytes_partition_by_partition(images, tmp_path, complete_set):
    for partition in reversed(PARTITIONS):
        build_set(images, tmp_path, partitions=(partition,))
    assert content(tmp_path) == complete_set


def test_same_bytes_without_processor_specific_code(images, tmp_path, complete_set):
    cv2.setUseOptimized(False)
    try:
        build_set(images, tmp_path)
    finally:
        cv2.setUseOptimized(True)
    assert content(tmp_path) == complete_set


def test_another_seed_gives_other_pairs(images, tmp_path, complete_set):
    build_set(images, tmp_path, dataclasses.replace(SPEC, seed=1))
    now = content(tmp_path)
    assert now.keys() == complete_set.keys()
    assert {n.split("/")[0] for n in now if now[n] == complete_set[n]} == {"sources"}
