"""Records whose meaning is wrong are reported, in files with correct hashes."""

import hashlib
import zlib
from dataclasses import replace

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from pairs import make_pairs
from shard_sets import (
    FIRST,
    SECOND,
    SPARE_IMAGE,
    VAL,
    cached_pairs,
    example_pairs,
    messages,
    read_images,
    write_changed_set,
    write_set,
    write_set_with_images,
)

from shards import manifest, shard_file, store
from shards.record import encode
from shards.verify import check_shard, verify
from shards.verify.check_correspondence import DEFAULT, common_area


def change_map(change):
    def damage(pair):
        map_ab = pair.map_ab.copy()
        change(map_ab, pair)
        return replace(pair, map_ab=map_ab)

    return damage


def first_visible(pair):
    return tuple(np.argwhere(pair.visible)[0])


def fold(m, pair):
    m[10:16, 10:16] = m[10:16, 10:16][:, ::-1]


DAMAGES = {
    "is an impostor pair but has a map": (
        3,
        lambda p: replace(p, map_ab=np.zeros_like(p.map_ab), visible=np.ones_like(p.visible)),
    ),
    "is impostor but shows": (3, lambda p: replace(p, finger_b=p.finger_a)),
    "is genuine but shows 'synthetic/test/train-000' and 'x'": (
        0,
        lambda p: replace(p, finger_b="x"),
    ),
    "train-000_2'": (0, lambda p: replace(p, image_id_b=SPARE_IMAGE)),
    "is genuine-impressions but shows": (0, lambda p: replace(p, kind="genuine-impressions")),
    "1 cells whose map and visibility contradict": (
        0,
        change_map(lambda m, p: m.__setitem__(first_visible(p), np.nan)),
    ),
    "maps 1 visible cells outside": (
        0,
        change_map(lambda m, p: m.__setitem__(first_visible(p), 128.0)),
    ),
    "folds at": (0, change_map(fold)),
    "nothing is visible": (
        0,
        lambda p: replace(
            p, map_ab=np.full_like(p.map_ab, np.nan), visible=np.zeros_like(p.visible)
        ),
    ),
    "image_b of one grey level, 7": (0, lambda p: replace(p, image_b=np.full_like(p.image_b, 7))),
    "to_original_a": (0, lambda p: replace(p, to_original_a=np.zeros((2, 3)))),
    "to_original_b": (0, lambda p: replace(p, to_original_b=np.full((2, 3), np.inf))),
    "has size 64, expected 128 by the set's spec": (0, lambda p: make_pairs(1, 1, size=64)[0]),
    "has grid 16, expected 32 by the set's spec": (0, lambda p: make_pairs(1, 1, grid=16)[0]),
    "map is off by": (0, change_map(lambda m, p: np.clip(m + 1, 0, 127.4, out=m))),
    "map is wrong": (0, lambda p: replace(p, map_ab=cached_pairs(24, 1)[6].map_ab,
                                     visible=cached_pairs(24, 1)[6].visible)),
    "images do not agree": (0, lambda p: replace(p, image_b=cached_pairs(24, 1)[8].image_b)),
    "impostor pair whose images agree": (
        3,
        lambda p: replace(p, image_b=cached_pairs(24, 1)[0].image_b),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", DAMAGES)
def test_each_damage_to_a_record_is_reported(tmp_path, message):
    number, damage = DAMAGES[message]
    out = write_changed_set(tmp_path / "set", damage, number=number)
    assert messages(out, "full") == []
    faults = messages(out, "deep")
    assert any(
        line.startswith(f"{FIRST}: record {number}: ") and message in line for line in faults
    )


def test_impostors_of_a_whole_shard_are_sampled(tmp_path):
    """Half of the pairs show one finger, but none of the first 16."""
    same, pairs = cached_pairs(24, 1)[0], [pair for pair in make_pairs(128, 1) if not pair.genuine]
    for k in range(16, 32):
        image_a = np.roll(same.image_a, k - 24, 0)  # no pair is repeated
        pairs[k] = replace(pairs[k], image_a=image_a, image_b=same.image_b)
    out = write_set(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): pairs})
    faults = [line for line in messages(out, "deep") if "impostor pair whose images agree" in line]
    assert 4 < len(faults) < 12  # of a sample of 16


def test_the_job_says_what_a_sliver_is(tmp_path):
    correct = store.load_manifest(write_set(tmp_path, example_pairs()))
    genuine = sum(pair.genuine for pair in example_pairs()[correct.shards[0].name])
    for share, slivers in ((0.0, 0), (1.1, genuine)):
        parameters = check_shard.DeepCheckParameters(sliver=share)
        job = check_shard.CheckJob(str(tmp_path), replace(correct, shards=()), "deep", parameters)
        assert check_shard.check_shard(job, correct.shards[0]).slivers.total() == slivers


def test_other_kinds_of_records_than_in_the_manifest_are_reported(tmp_path):
    out = write_set(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): cached_pairs(24, 1)})
    correct = store.load_manifest(out)
    (entry,) = correct.shards
    wrong = {"genuine/sensor": entry.records}
    images = read_images(out)
    store.write_manifest(
        out, manifest.assemble(correct.spec, images, [replace(entry, counts=wrong)])
    )
    assert messages(out, "full") == []
    (line,) = messages(out, "deep")
    assert "2 impostor/pressure" in line and "expected 24 genuine/sensor by the manifest" in line


def test_another_seed_than_in_the_spec_is_reported(tmp_path):
    content = example_pairs()
    parts = store.load_manifest(write_set(tmp_path / "set", content)).partitions
    entries = [shard_file.describe_shard(tmp_path / "set" / name) for name in content]
    store.write_manifest(tmp_path / "set", manifest.assemble({"seed": 1}, {}, entries, parts))
    faults = messages(tmp_path / "set", "deep")
    assert f"{VAL}: record 0: has seed 2, expected 1 by the set's spec" in faults
    assert not any(FIRST in line for line in faults)


def test_an_image_that_the_manifest_does_not_list_is_reported(tmp_path):
    content = example_pairs()
    images = read_images(write_set(tmp_path / "set", content))
    del images["fvc2002/db1_b"]["fvc2002/db1_b/test-000_1"]
    content[SECOND] = [replace(content[SECOND][0], image_id_a="sd302/U/x", image_id_b="sd302/U/x")]
    out = write_set_with_images(tmp_path / "set", content, images)
    faults = messages(out, "deep")
    assert f"{SECOND}: record 0: shows 'sd302/U/x', which is not of synthetic/test" in faults
    assert any("test-000_1', which the manifest does not list" in line for line in faults)


@pytest.mark.parametrize(("kind", "faulty"), [("genuine-impressions", False), ("genuine", True)])
def test_a_line_of_common_cells_cannot_be_compared(kind, faulty):
    """Two impressions may have such a small common area; a degraded copy may not."""
    pair, *_, other = (pair for pair in make_pairs(20, 3) if pair.genuine)
    noise = "none" if kind == "genuine-impressions" else "dryness"
    inside = np.pad(np.eye(len(pair.visible) - 2, dtype=bool), 1)
    same = replace(pair, kind=kind, noise=noise, visible=pair.visible & inside)
    line = replace(same, image_b=other.image_b)  # another part of the finger
    assert line.visible.sum() > 2
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 1, {})
    report = check_shard.ShardReport(entry)
    check_images = check_shard.check_images_of_genuine_pair
    assert bool(check_images(report, 0, line, DEFAULT)) == faulty
    assert report.inconclusive == [] and report.offsets == []
    assert "map is wrong" in check_images(report, 1, same, DEFAULT)[0]  # far more in common
    block = np.zeros_like(line.visible)
    block[4:6, 4:6] = True
    assert common_area(replace(line, visible=block)).any()


def test_no_record_with_a_valid_checksum_makes_the_deep_check_raise(tmp_path):
    rng = np.random.default_rng(0)
    records = []
    for pair in make_pairs(100, 5, size=16, grid=4):
        data = bytearray(encode(pair))
        for _ in range(rng.integers(1, 6)):
            start = int(rng.choice([10, 18, 32, 48, 144, 272, 784, len(data) - 40]))
            size = int(rng.integers(1, 40))
            data[start : start + size] = rng.bytes(size)
        data = data[: len(encode(pair))]
        records.append(bytes(data[:4]) + zlib.crc32(data[8:]).to_bytes(4, "little") + data[8:])
    writer = ArrayRecordWriter(str(tmp_path / "x"), shard_file.WRITER_OPTIONS)
    for data in records:
        writer.write(bytes(data))
    writer.close()
    content = (tmp_path / "x").read_bytes()
    name = manifest.shard_name("synthetic/test", "train", 0, 1)
    sha256 = hashlib.sha256(content).hexdigest()
    entry = manifest.ShardEntry(
        name, "synthetic/test", "train", len(content), sha256, 100, {"genuine/none": 100}
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "x").rename(tmp_path / name)
    images = {f"synthetic/test/train-{k:03d}_1": "0" * 64 for k in range(40)}
    store.write_sources(tmp_path, {"synthetic/test": images})
    store.write_manifest(tmp_path, manifest.assemble({}, {"synthetic/test": images}, [entry]))
    assert len({finding.record for finding in verify.verify(tmp_path, "deep", workers=1)}) > 50
